"""Results as tables."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import choices
from benchmarks.engine import report as engine
from benchmarks.guard import report as guard
from benchmarks.mintage import NAME
from benchmarks.mlperf import report as mlperf
from benchmarks.repeats import Spread
from benchmarks.results import Json, ResultError
from benchmarks.soak import report as soak
from benchmarks.standings import peers_tables
from benchmarks.stream import report as stream
from benchmarks.tables import Table, figure
from benchmarks.training import report as training


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
    artifact = manifest["generator"]  # None where none was measured
    generator = f"generator {artifact['id']}; " if artifact else ""
    return (
        f"{hardware['cores']} cores of {hardware['processor']}, shared with the load generator, "
        f"{hardware['memory_gib']} GiB; {manifest['system']}; Python {versions['python']}, BentoML "
        f"{versions['bentoml']}, onnxruntime {versions['onnxruntime']}; "
        f"{generator}commit {versions['checkout']}; {manifest['created']}, with a load "
        f"average of {hardware['load_before']:.1f} before. Of one machine: the ratios are the result. "
        f"Again: `{' '.join(manifest['command'])}`"
    )


# A field that only results of a kind have, the kind, its tables.
KINDS: tuple[tuple[str, str, Callable[[Json], list[Table]]], ...] = (
    ("costs", "guard", guard.tables),
    ("engines", "engine", engine.tables),
    ("loops", "training", training.tables),
    ("runs", "mlperf", mlperf.tables),
    ("minutes", "soak", soak.tables),
    ("paces", "stream", stream.tables),
    ("visits", "peers", peers_tables),
)


def tables_of(result: Json) -> tuple[str, list[Table]]:
    """The kind of a result, which names its section in the documentation, and its tables.

    Raises ResultError for one that has none, or lacks what its tables tell.
    """
    try:
        return _tables_of(result)
    except KeyError as missing:
        raise ResultError(f"this result has no {missing}: it is of another version; measure again") from None


def _tables_of(result: Json) -> tuple[str, list[Table]]:
    for field, kind, tables in KINDS:
        if field in result:
            return kind, tables(result)
    if "variants" in result:
        return "choices", choices_tables(result)
    if "parts" in result:
        return "parts", parts_tables(result)
    if "rows" in result:
        return "serving", serving_tables(result)
    raise ResultError("this result has no tables: it is none of runs/benchmarks/KIND-TIME.json")
