"""A soak as a plot: latency, memory and open files over the minutes."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from benchmarks import plots
from benchmarks.results import Json

LATENCIES = (
    ("max_ms", plots.OTHERS[1], "slowest"),
    ("p99_ms", plots.OTHERS[2], "p99"),
    ("p50_ms", plots.OURS, "p50"),
)


def draw(result: Json, file: Path) -> bool:
    """Writes the plot."""
    minutes = result["minutes"]
    with plots.figure(9, 6.4, rows=3) as (drawn, (latency, memory, files)):
        for field, colour, name in LATENCIES:
            _line(latency, minutes, field, colour)
            _name(latency, minutes, field, name)
        latency.set_title(f"Latency at {result['rate_per_s']:,.0f} requests a second, ms")
        latency.set_yscale("log")
        latency.yaxis.set_major_formatter("{x:g}")
        _line(memory, minutes, "uss_mib", plots.OURS)
        memory.set_title("Memory of all processes (USS), MiB")
        memory.set_ylim(0, 1.25 * max(minute["uss_mib"] for minute in minutes))
        _line(files, minutes, "files", plots.OURS)
        files.set_title("Open files")
        files.set_ylim(0, 1.25 * max(minute["files"] for minute in minutes))
        files.set_xlabel("minutes")
        for axes in (latency, memory, files):
            axes.set_xlim(1, max(2, len(minutes)))
        plots.save(drawn, file)
    return True


def _name(axes: Axes, minutes: list[Json], field: str, name: str) -> None:
    """Behind the end of its line; none where no minute has the figure."""
    known = [minute[field] for minute in minutes if minute[field] is not None]
    if known:
        axes.annotate(name, (len(minutes), known[-1]), (6, 0), textcoords="offset points", va="center")


def _line(axes: Axes, minutes: list[Json], field: str, colour: str) -> None:
    found = [(number, minute[field]) for number, minute in enumerate(minutes, 1) if minute[field] is not None]
    axes.plot([number for number, _ in found], [value for _, value in found], color=colour)
