"""The engines' tables."""

from __future__ import annotations

from benchmarks.engine.subjects import GEMM, GEMM_SIZE, Subject
from benchmarks.repeats import Spread, ratio
from benchmarks.results import Json
from benchmarks.tables import Table, figure


def tables(result: Json) -> list[Table]:
    """All engines at their best, what the machine multiplies, and each engine at every batch."""
    engines = [(subject_of(row), row["batches"]) for row in result["engines"]]
    limits: list[tuple[str, ...]] = [
        (Subject(GEMM, int(threads)).name, figure(Spread.of(rates)))
        for threads, rates in result["gemm_gflop_per_s"].items()
    ]
    columns = ("engine", "one image, p50 ms", "best batch", "images/s", "GFLOP/s", "of the limit")
    best = [_best(result, subject, batches) for subject, batches in engines]
    return [
        Table("The engines alone, at their best", columns, best, note=_note(result)),
        Table("The limit", ("", "GFLOP/s"), limits),
        *(_sweep(result, subject, batches) for subject, batches in engines),
    ]


def subject_of(row: Json) -> Subject:
    return Subject(row["engine"], row["threads"], row["processes"])


def _note(result: Json) -> str:
    settings = result["manifest"]["settings"]
    missing = "; ".join(f"{name} ({why})" for name, why in result["missing"].items())
    return (
        f"Median and range of {settings['repeats']} repeats of {settings['seconds']:g} s, in turns; latents "
        f"were made before. An image takes {result['flop_per_image'] / 1e6:.2f} MFLOP, two for each "
        "multiply-add of the exported graph. The limit is the rate of products of float32 matrices of "
        f"{GEMM_SIZE} x {GEMM_SIZE} (NumPy's) on as many cores, in the same turns."
        + (f" Not measured: {missing}." if missing else "")
    )


def _best(result: Json, subject: Subject, batches: Json) -> tuple[str, ...]:
    batch = max(batches, key=lambda batch: Spread.of(batches[batch]["images_per_s"]).median)
    lone = f"{batches['1']['latency']['p50_ms']:.2f}" if "1" in batches else ""
    rates = figure(Spread.of(batches[batch]["images_per_s"]))
    return (subject.name, lone, batch, rates, *_of_limit(result, subject, batches[batch]))


def _sweep(result: Json, subject: Subject, batches: Json) -> Table:
    rows: list[tuple[str, ...]] = []
    for batch, at in batches.items():
        latency = at["latency"]
        low, high = latency["p99_low_ms"], latency["p99_high_ms"]
        p99 = "too few calls" if high is None else f"{latency['p99_ms']:.2f} ({low:.2f}-{high:.2f})"
        p50, calls = f"{latency['p50_ms']:.2f}", f"{latency['count']:,}"
        rates = figure(Spread.of(at["images_per_s"]))
        rows.append((batch, rates, p50, p99, calls, *_of_limit(result, subject, at)))
    columns = ("batch", "images/s", "p50, ms", "p99, ms", "calls", "GFLOP/s", "of the limit")
    note = "Latency of a call, those of all repeats together; p99 with its 99 % interval."
    return Table(f"Batches: {subject.name}", columns, rows, note=note)


def is_on_cpu(result: Json, subject: Subject) -> bool:
    rows = (row for row in result["engines"] if subject_of(row) == subject)
    return all(row.get("is_on_cpu", True) for row in rows)  # results of before have CPUs alone


def _of_limit(result: Json, subject: Subject, at: Json) -> tuple[str, str]:
    """GFLOP/s reached, and their share of the matrix products' in the same repeat; none off the CPU."""
    gflop = [rate * result["flop_per_image"] / 1e9 for rate in at["images_per_s"]]
    if not is_on_cpu(result, subject):
        return f"{Spread.of(gflop).median:.1f}", ""
    limit = result["gemm_gflop_per_s"][str(subject.cores)]
    return f"{Spread.of(gflop).median:.1f}", f"{ratio(gflop, limit).median:.0%}"
