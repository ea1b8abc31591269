"""LoadGen's results as a table."""

from __future__ import annotations

from benchmarks.mlperf.accuracy import Accuracy
from benchmarks.mlperf.trial import OFFICIAL_S, STEP
from benchmarks.results import Json
from benchmarks.tables import Table


def tables(result: Json) -> list[Table]:
    """One line a system and scenario."""
    rows: list[tuple[str, ...]] = []
    for run in result["runs"]:
        rows.append(
            (
                f"{run['system']}, {run['scenario']}",
                _figure(run),
                "" if run["scenario"] == "Offline" else f"{run['p50_ms']:,.2f} / {run['p99_ms']:,.2f}",
                _verdict(run),
                Accuracy(**run["accuracy"]).in_words,
            )
        )
    settings = result["manifest"]["settings"]
    counts = "the official numbers of queries" if settings["full"] else "few queries: no official result"
    length = f"at least {settings['seconds']:g} s a test"
    length += "" if settings["seconds"] >= OFFICIAL_S else f" where the rules have {OFFICIAL_S:g}"
    note = (
        f"MLPerf's LoadGen, {length}, {counts}. VALID and INVALID are "
        f"LoadGen's words, in Server for a p99 within {settings['latency_ms']:g} ms; the rate asked for "
        f"is the highest VALID one of rates {STEP - 1:.0%} apart, unless it was given. With failed answers, "
        "which LoadGen does not know of, a run is INVALID too. Pixels of accuracy runs are compared with "
        "Generator.images. Over the service, several samples are one request, of up to 64; the load "
        "generator has the same cores."
    )
    columns = ("system, scenario", "result", "p50 / p99, ms", "LoadGen says", "pixels that differ")
    return [Table("MLPerf's scenarios", columns, rows, note=note)]


def line(run: Json) -> str:
    """One run on one line."""
    return f"{run['system']}, {run['scenario']}: {_figure(run)}, {_verdict(run)}"


def _figure(run: Json) -> str:
    digits = 2 if run["unit"].endswith("ms") else 0
    asked = f" of {run['target_qps']:,.0f} asked for" if run["target_qps"] else ""
    return f"{run['result']:,.{digits}f} {run['unit']}{asked}"


def went_wrong(run: Json) -> bool:
    """An answer failed, or a pixel is wrong; LoadGen knows of neither."""
    return bool(run["failed"] or run["accuracy"]["wrong"])


def _verdict(run: Json) -> str:
    """LoadGen's, but for failed answers: it counts them as answered."""
    why = [f"answers that failed: {run['failed']:,}"] if run["failed"] else []
    if not run["valid"]:
        why += run["why"] or ["see its log"]
    words = f"INVALID: {', '.join(why)}" if why else "VALID"
    return words + (f"; errors in its log: {run['errors']}" if run["errors"] else "")
