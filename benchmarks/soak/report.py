"""A soak as a table: its beginning next to its end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.results import Json
from benchmarks.tables import Table

ENDS = 10  # minutes of the beginning and of the end


def tables(result: Json) -> list[Table]:
    """Medians of the first and the last minutes, and the whole."""
    minutes = result["minutes"]
    part = min(ENDS, max(1, len(minutes) // 2))
    whole, asked = result["whole"], sum(minute["requests"] for minute in minutes)
    rows: list[tuple[str, ...]] = [
        ("p50, ms", *_ends(minutes, "p50_ms", part, 2), _figure(whole["p50_ms"], 2)),
        ("p99, ms", *_ends(minutes, "p99_ms", part, 2), _figure(whole["p99_ms"], 2)),
        ("p99.9, ms", *_ends(minutes, "p99.9_ms", part, 2), _figure(whole["p99.9_ms"], 2)),
        ("slowest, ms", *_ends(minutes, "max_ms", part, 1), _figure(whole["max_ms"], 1)),
        ("memory of all processes (USS), MiB", *_ends(minutes, "uss_mib", part, 1), ""),
        ("memory of the load client (USS), MiB", *_ends(minutes, "client_uss_mib", part, 1), ""),
        ("open files", *_ends(minutes, "files", part, 0), ""),
        ("threads", *_ends(minutes, "threads", part, 0), ""),
        ("the machine's processors busy, %", *_ends(minutes, "machine_cpu_percent", part, 0), ""),
        *(
            (name, *_sums(minutes, field, part), f"{sum(minute[field] for minute in minutes):,}")
            for name, field in (("requests", "requests"), ("refused", "refused"), ("failed", "failed"))
        ),
    ]
    valid = sum(minute["valid"] for minute in minutes)
    capacity, settings = result["capacity_per_s"], result["manifest"]["settings"]
    minute_s, planned = settings["minute_s"], settings.get("minutes", len(minutes))
    length = "a minute" if minute_s == 60 else f"{minute_s:g} s, called minutes here"
    note = (
        f"An open loop of {result['rate_per_s']:,.0f} Poisson requests a second, "
        f"{result['rate_per_s'] / capacity:.0%} of the {capacity:,.0f} that were answered of an open loop of "
        f"{result['peak_per_s']:,.0f}, which is what a closed loop of 64 connections got just before; "
        f"{asked:,} requests in {len(minutes)} loads of {length}"
        + (f", broken off then: {planned} were meant. " if len(minutes) < planned else ". ")
        + ("" if result.get("capacity_valid", True) else "The client lagged when the capacity was measured. ")
        + "Columns are medians of minutes, of requests and what became of them sums; percentiles of the "
        "whole are those of one merged histogram. "
        f"{sum(minute['checked'] for minute in minutes):,} answers were compared pixel for pixel, all right. "
        f"The client was in time in {valid} of the {len(minutes)} minutes."
    )
    columns = ("", f"first {part} minutes", f"last {part} minutes", "whole")
    return [Table("A steady load", columns, rows, note=note)]


def _ends(minutes: Sequence[Json], field: str, part: int, digits: int) -> tuple[str, str]:
    return _median(minutes[:part], field, digits), _median(minutes[-part:], field, digits)


def _median(minutes: Sequence[Json], field: str, digits: int) -> str:
    known = [minute[field] for minute in minutes if minute[field] is not None]
    return _figure(statistics.median(known) if known else None, digits)


def _figure(value: float | None, digits: int) -> str:
    return "too few answers" if value is None else f"{value:,.{digits}f}"


def _sums(minutes: Sequence[Json], field: str, part: int) -> tuple[str, str]:
    first, last = (sum(minute[field] for minute in some) for some in (minutes[:part], minutes[-part:]))
    return f"{first:,}", f"{last:,}"
