"""The engines as a picture: images a second and latency against the batch."""

from __future__ import annotations

from math import nan
from pathlib import Path

from matplotlib.ticker import FuncFormatter

from benchmarks import plots
from benchmarks.engine.report import subject_of
from benchmarks.repeats import Spread
from benchmarks.results import Json


def draw(result: Json, file: Path) -> bool:
    """Medians with their range, p50 as a line and p99, where there are calls enough, as dashes."""
    batches = [int(batch) for batch in result["manifest"]["settings"]["batches"]]
    with plots.figure(10, 4.2, columns=2) as (drawn, (rate, latency)):
        for engine in result["engines"]:
            at = list(engine["batches"].values())
            spreads = [Spread.of(one["images_per_s"]) for one in at]
            (line,) = rate.plot(batches, [spread.median for spread in spreads], marker="o", markersize=3.5)
            low, high = ([getattr(spread, end) for spread in spreads] for end in ("low", "high"))
            rate.fill_between(batches, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
            times = [one["latency"] for one in at]
            p50 = [time["p50_ms"] for time in times]
            latency.plot(batches, p50, color=line.get_color(), label=subject_of(engine).name)
            p99 = [time["p99_ms"] if time["p99_high_ms"] is not None else nan for time in times]
            latency.plot(batches, p99, color=line.get_color(), linestyle="none", marker="_", markersize=7)
        rate.set_title("Images a second")
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter("{x:,.0f}")
        latency.set_title("Milliseconds of a call: p50, and p99 as dashes")
        latency.set_yscale("log")
        latency.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axes in (rate, latency):
            plots.batch_axis(axes, batches)
        latency.legend(fontsize=8, loc="lower right")
        plots.save(drawn, file)
    return True
