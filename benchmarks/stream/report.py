"""Paces of a stream as a table."""

from __future__ import annotations

from dataclasses import asdict

from benchmarks.load.histogram import Histogram
from benchmarks.load.words import percentile
from benchmarks.repeats import Spread
from benchmarks.results import Json
from benchmarks.tables import Table, figure

COLUMNS = ("movements", "frames/s", "given up, %", "delay p50, ms", "delay p99, ms", "client's lag p99, ms")


def tables(result: Json) -> list[Table]:
    """One line a pace."""
    settings = result["manifest"]["settings"]
    workers = settings["workers"]
    note = (
        f"{settings['repeats']} repeats of {settings['seconds']} s, one client, the service with "
        f"{'its default workers' if workers is None else f'{workers} workers'}: frames and movements given "
        "up are the median and the range, percentiles are of the repeats' merged histogram, with their 99 % "
        "interval, and a dash stands for too few frames. The delay is from when a movement was due to when "
        "its frame was there whole; movements given up for newer ones have no frame, and the last one always "
        "has. Client and service share the cores."
    )
    rows = [_row(pace["name"], pace["seen"]) for pace in result["paces"] if pace["seen"]]
    return [Table("One stream", COLUMNS, rows, note=note)]


def _row(name: str, seen: list[Json]) -> tuple[str, ...]:
    frames, given_up = (
        figure(Spread.of([one[field] for one in seen])) for field in ("frames_per_s", "superseded_percent")
    )
    delay, lag = (Histogram.merged([one[field] for one in seen]) for field in ("delay", "lag"))
    found = delay.percentile(0.5), delay.percentile(0.99), lag.percentile(0.99)
    return name, frames, given_up, *(percentile(asdict(one) if one else None) for one in found)
