"""Results as tables."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import choices
from benchmarks.comparison import AGAIN, CONNECTIONS, against, best_peer, complete, spread
from benchmarks.engine import report as engine
from benchmarks.guard import report as guard
from benchmarks.mintage import NAME
from benchmarks.mlperf import report as mlperf
from benchmarks.repeats import Spread
from benchmarks.results import Json
from benchmarks.tables import Table, figure
from benchmarks.tuning import ENCODERS

COUNTS = tuple(f"{count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS)


def peers_tables(result: Json) -> list[Table]:
    """Throughput, ratios, latency and starts of a comparison."""
    names = complete(result)
    ours = frozenset(place for place, name in enumerate(names) if name == NAME)
    if NAME not in names:
        return [_failures(result)]
    rates = [
        (name, *(figure(spread(result, name, count, "requests_per_s")) for count in CONNECTIONS))
        for name in names
    ]
    latencies = [(name, *(_latency(result, name, count) for count in CONNECTIONS)) for name in names]
    starts = [
        (name, *(figure(_of_visits(result, name, field)) for field in ("ready_s", "first_request_ms")))
        for name in names
    ]
    tables = [
        Table("Requests a second", ("server", *COUNTS), rates, ours, _settings_note(result)),
        _ratios(result, names),
        Table(
            "Latency under that load, p50 / p99 in ms",
            ("server", *COUNTS),
            latencies,
            ours,
            "Medians over the repeats of wrk's percentiles, which add, for each slow answer, those that "
            "would have waited behind it. A closed loop: at 64 connections this says how long 64 clients "
            "wait who never pause, not how long one waits at a given rate.",
        ),
        Table("Start", ("server", "process start to ready, s", "first request, ms"), starts, ours),
    ]
    return [*tables, _failures(result)] if result["failed"] else tables


def _latency(result: Json, name: str, count: int) -> str:
    p50, p99 = (spread(result, name, count, field).median for field in ("p50_ms", "p99_ms"))
    return f"{p50:.1f} / {p99:.1f}"


def _of_visits(result: Json, name: str, field: str) -> Spread:
    return Spread.of([visit[field] for visit in result["visits"][name]])


def _ratios(result: Json, names: list[str]) -> Table:
    """How many times as many requests ours answers; the best peer of each encoder has a star."""
    rows: list[tuple[str, ...]] = []
    for name in names:
        if name == NAME:
            continue
        cells = []
        for count in CONNECTIONS:
            star = " *" if name in [best_peer(result, encoder, count) for encoder in ENCODERS] else "  "
            cells.append(figure(against(result, name, count), 2) + star)
        rows.append((name, *cells))
    return Table(
        f"{NAME} / server, requests a second",
        ("server", *COUNTS),
        rows,
        note=f"Visit by visit, then the median and the range. A star: the best peer with that encoder. "
        f"{AGAIN} is the same server measured twice: how far its ratio is from 1 is the noise.",
    )


def _failures(result: Json) -> Table:
    rows: list[tuple[str, ...]] = [(name, why.splitlines()[0]) for name, why in result["failed"].items()]
    return Table("Failed, and left out", ("server", "why"), rows)


def _settings_note(result: Json) -> str:
    settings = result["manifest"]["settings"]
    checked = sum(visit["checked_images"] for visits in result["visits"].values() for visit in visits)
    workers = settings.get("workers")
    ours = f"{NAME} with {workers} workers" if workers else f"{NAME} with its default settings"
    return (
        f"Median and range of {settings['repeats']} repeats of {settings['seconds']} s, in turns; {ours}. "
        "One PNG a request, unique seeds. `ours`: the peer has our encoder and engine, `shipped`: Pillow "
        f"and onnxruntime as they are. {checked:,} answers were compared pixel for pixel, all right."
    )


def serving_tables(result: Json) -> list[Table]:
    """One line a row of `benchmarks.serving`."""
    rows: list[tuple[str, ...]] = []
    for part in result["rows"].values():
        for row in part:
            ours = figure(Spread(**row["ours"]))
            theirs = figure(Spread(**row["theirs"])) if row["theirs"] else ""
            ratio = figure(Spread(**row["ratio"]), 2) if row["ratio"] else ""
            rows.append((row["name"], f"{ours} {row['unit']}", row["against"], theirs, ratio))
    settings = result["manifest"]["settings"]
    note = (
        f"Median and range of {settings['repeats']} repeats of {settings['seconds']} s, ours and what it is "
        "held against in turns; both use all cores."
    )
    return [Table("Our service and the engine alone", ("", NAME, "against", "", "ratio"), rows, note=note)]


def choices_tables(result: Json) -> list[Table]:
    """One line a variant of the service."""
    rows: list[tuple[str, ...]] = []
    for name in result["variants"]:
        cells = [name]
        for count in choices.CONNECTIONS:
            rate, ratio = choices.rate(result, name, count)
            cells += [figure(rate), figure(ratio, 2)]
        rows.append(tuple(cells))
    settings = result["manifest"]["settings"]
    repeats, seconds = settings["repeats"], settings["seconds"]
    note = f"Requests a second, median and range of {repeats} repeats of {seconds} s, in turns."
    columns = ("", "1 connection", "/ as it is", "64 connections", "/ as it is")
    return [Table("The service with one choice undone", columns, rows, frozenset({0}), note)]


def parts_tables(result: Json) -> list[Table]:
    """One line a way of doing a part of a request."""
    rows: list[tuple[str, ...]] = [
        (part, name, figure(Spread(**us)), figure(Spread(**times), 2), "" if size is None else f"{size:,}")
        for part, name, us, times, size in result["parts"]
    ]
    note = (
        f"One thread, median and range of {result['manifest']['settings']['repeats']} repeats, in turns. "
        "The first way of each part is the one that the service takes."
    )
    columns = ("part of a request", "way", "us an image", "/ first way", "bytes")
    return [Table("The parts of a request", columns, rows, note=note)]


def about(result: Json) -> str:
    """What it was measured on, in a paragraph of Markdown."""
    manifest = result["manifest"]
    hardware, versions = manifest["hardware"], manifest["versions"]
    return (
        f"{hardware['cores']} cores of {hardware['processor']}, shared with the load generator, "
        f"{hardware['memory_gib']} GiB; {manifest['system']}; Python {versions['python']}, BentoML "
        f"{versions['bentoml']}, onnxruntime {versions['onnxruntime']}; generator "
        f"{manifest['generator']['id']}; commit {versions['checkout']}; {manifest['created']}, with a load "
        f"average of {hardware['load_before']:.1f} before. Of one machine: the ratios are the result. "
        f"Again: `{' '.join(manifest['command'])}`"
    )


# A field that only results of a kind have, the kind, its tables.
KINDS: tuple[tuple[str, str, Callable[[Json], list[Table]]], ...] = (
    ("costs", "guard", guard.tables),
    ("engines", "engine", engine.tables),
    ("runs", "mlperf", mlperf.tables),
)


def tables_of(result: Json) -> tuple[str, list[Table]]:
    """The kind of a result, which names its section in the documentation, and its tables."""
    for field, kind, tables in KINDS:
        if field in result:
            return kind, tables(result)
    if "visits" in result:
        return "peers", peers_tables(result)
    if "variants" in result:
        return "choices", choices_tables(result)
    if "parts" in result:
        return "parts", parts_tables(result)
    return "serving", serving_tables(result)


def tuned_table(found: Json) -> Table:
    """Each peer's best settings, among how many."""
    rows: list[tuple[str, ...]] = []
    for name, encoders in found.items():
        for encoder, tuned in encoders.items():
            best = ", ".join(f"{field} {value}" for field, value in tuned["best"].items())
            rates = [Spread.of(tried["requests_per_s"]) for tried in tuned["tried"]]
            most = max(rates, key=lambda rate: rate.median)
            rows.append((f"{name}, {encoder}", figure(most), str(len(rates)), best))
    return Table("Tuned at 64 connections", ("peer", "requests/s", "ways tried", "best"), rows)
