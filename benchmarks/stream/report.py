"""Paces of a stream as a table."""

from __future__ import annotations

from benchmarks.repeats import Spread
from benchmarks.results import Json
from benchmarks.tables import Table, figure

COLUMNS = {
    "frames_per_s": "frames/s", "superseded_percent": "given up, %", "p50_ms": "delay p50, ms",
    "p99_ms": "delay p99, ms", "lag_p99_ms": "client's lag p99, ms",
}  # fmt: skip


def tables(result: Json) -> list[Table]:
    """One line a pace."""
    rows: list[tuple[str, ...]] = [
        (pace["name"], *(figure(Spread.of([seen[name] for seen in pace["seen"]])) for name in COLUMNS))
        for pace in result["paces"]
        if pace["seen"]
    ]
    settings = result["manifest"]["settings"]
    workers = settings["workers"]
    note = (
        f"Median and range of {settings['repeats']} repeats of {settings['seconds']} s, one client, the "
        f"service with {'its default workers' if workers is None else f'{workers} workers'}. The delay is "
        "from when a movement was due to when its frame was there whole; movements given up for newer ones "
        "have no frame, and the last one always has. Client and service share the cores."
    )
    return [Table("One stream", ("movements", *COLUMNS.values()), rows, note=note)]
