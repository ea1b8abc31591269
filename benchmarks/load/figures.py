"""The plots of a report, as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from benchmarks.load.words import milliseconds, name_of
from benchmarks.plots import FAINT, INK, OTHERS, OURS, PAPER, figure

Json = dict[str, Any]

WIDTH, HEIGHT = 8.6, 3.6  # inches
COLOURS = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)", OURS: "var(--ours)"}
PERCENTILES = {"p50": ":", "p90": "-.", "p99": "-", "p99.9": "--"}
AT = (0, 0.5, 0.9, 0.99, 0.999, 0.9999)  # shares that the percentile axis names
PARTS = {"queue": OURS, "engine": OTHERS[2], "encode": OTHERS[1], "other": OTHERS[0]}


def plots(result: Json) -> Iterator[tuple[str, str, str]]:
    """Title, SVG, and what to see, of each plot that the result has data for."""
    loads = result["loads"]
    last = loads[-1]
    if len(loads) > 1:
        yield (
            "Latency against load", _svg(lambda axes: _latency(axes, result)),
            "Of the right answers, from when a request was due. Dotted: the peak of the closed loop.",
        )  # fmt: skip
        yield (
            "Right answers against load", _svg(lambda axes: _goodput(axes, result)),
            "On the diagonal every request is answered. A service that collapses falls beyond its peak.",
        )  # fmt: skip
    yield (
        "Latency by percentile", _svg(lambda axes: _curves(axes, loads)),
        "Each step to the right is a tenth of the answers: the slowest in ten, in a hundred, in a thousand.",
    )  # fmt: skip
    yield (
        f"Along the time, {name_of(last)}", _svg(lambda *axes: _along(axes, last), rows=2),
        "By when requests were due: a pause of the server is a tooth of the maximum.",
    )  # fmt: skip
    if last["stages"]:
        yield (
            "Where the time goes", _svg(lambda axes: _stages(axes, loads)),
            "Mean of sampled answers. Queue, engine and encoding as the service tells them in Server-Timing; "
            "the rest is HTTP, the network, and what client and server wait for a processor.",
        )  # fmt: skip
        yield (
            f"Batch sizes, {name_of(last)}", _svg(lambda axes: _batches(axes, last["batches"])),
            "Sampled answers by the images of the engine call that made them.",
        )  # fmt: skip


def _svg(draw: Callable[..., None], rows: int = 1) -> str:
    """A drawing whose palette is CSS variables; text stays text."""
    with (
        mpl.rc_context({"svg.fonttype": "none"}),
        figure(WIDTH, HEIGHT * (1 + (rows - 1) / 2), rows) as (drawn, axes),
    ):
        draw(*axes)
        file = io.StringIO()
        drawn.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    for colour, variable in COLOURS.items():
        text = text.replace(colour, variable)
    return text[text.index("<svg") :]


def _latency(axes: Axes, result: Json) -> None:
    loads = result["loads"]
    for name, style in PERCENTILES.items():
        found = [(load["rate_per_s"], load["latency"][name]) for load in loads if load["latency"][name]]
        if not found:
            continue
        rates = [rate for rate, _ in found]
        axes.plot(
            rates, [one["ms"] for _, one in found], style, color=OURS, marker="o", markersize=3.5, label=name
        )
        low, high = ([one[end] for _, one in found] for end in ("low_ms", "high_ms"))
        axes.fill_between(rates, low, high, color=OURS, alpha=0.12, linewidth=0)
    if result.get("peak"):
        axes.axvline(result["peak"]["goodput_per_s"], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set(yscale="log", xlabel="requests a second", ylabel="ms", xlim=(0, None))
    axes.legend(ncols=len(PERCENTILES), loc="lower right")
    _plain_numbers(axes)


def _goodput(axes: Axes, result: Json) -> None:
    rates = [load["rate_per_s"] for load in result["loads"]]
    axes.plot([0, max(rates)], [0, max(rates)], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.plot(
        rates,
        [load["goodput_per_s"] for load in result["loads"]],
        marker="o",
        markersize=3.5,
        label="right answers",
    )
    refused = [load["refused"] / load["seconds"] for load in result["loads"]]
    failed = [load["failed"] / load["seconds"] for load in result["loads"]]
    axes.plot(rates, refused, color=OTHERS[1], label="refused (429)")
    axes.plot(rates, failed, color=OTHERS[5], label="failed")
    axes.set(xlabel="requests a second", ylabel="a second", xlim=(0, None), ylim=(0, None))
    axes.legend()


def _curves(axes: Axes, loads: list[Json]) -> None:
    """Latency over the share of answers, with an axis on which 90, 99, 99.9 % are as far apart."""
    colours = [OURS] if len(loads) == 1 else mpl.colormaps["viridis"](np.linspace(0.05, 0.9, len(loads)))
    furthest = 0.5
    for load, colour in zip(loads, colours, strict=True):
        shares, values = np.array(load["curve"]).reshape(-1, 2).T
        axes.plot(-np.log10(1 - shares), values, color=colour, label=name_of(load))
        furthest = max(furthest, *shares)
    names = [share for share in AT if share <= furthest]
    axes.set_xticks([-np.log10(1 - share) for share in names], [f"{100 * share:g} %" for share in names])
    axes.set(yscale="log", ylabel="ms")
    _plain_numbers(axes)
    if len(loads) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)


def _along(axes: tuple[Axes, ...], load: Json) -> None:
    line = load["timeline"]
    middle = (np.arange(len(line["p50_ms"])) + 0.5) * line["step_s"]
    for name, colour in (("asked", INK), ("answered", OURS), ("not_answered", OTHERS[5])):
        label = {"asked": "due", "answered": "right answers", "not_answered": "refused or failed"}[name]
        axes[0].plot(
            middle,
            line[f"{name}_per_s"],
            color=colour,
            label=label,
            linewidth=1.2 if name == "asked" else 1.8,
        )
    axes[0].set(ylabel="a second", ylim=(0, None))
    axes[0].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    for name, colour in (("max", OTHERS[1]), ("p99", OTHERS[2]), ("p50", OURS)):
        values = [np.nan if value is None else value for value in line[f"{name}_ms"]]
        if not np.isnan(values).all():
            axes[1].plot(middle, values, color=colour, label=name)
    axes[1].set(yscale="log", xlabel="s", ylabel="ms")
    axes[1].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    _plain_numbers(axes[1])


def _stages(axes: Axes, loads: list[Json]) -> None:
    """A bar for each load; of one load, for its faster and slower answers; their mean beside it."""
    if len(loads) > 1:
        rows = [(name_of(load), load["stages"][0]) for load in loads if load["stages"]]
    else:
        first, *bands = loads[0]["stages"]
        rows = [("all", first), *((f"{100 * one['from']:g} to {100 * one['to']:g} %", one) for one in bands)]
        axes.set_ylabel("answers, fastest first")
    totals = np.array([sum(stages[part] for part in PARTS) for _, stages in rows])  # ms
    left = np.zeros(len(rows))
    for part, colour in PARTS.items():
        widths = 100 * np.array([stages[part] for _, stages in rows]) / totals
        axes.barh(
            range(len(rows)),
            widths,
            left=left,
            color=colour,
            label="the rest" if part == "other" else part,
        )
        left += widths
    for place, total in enumerate(totals):
        axes.text(101, place, f"{milliseconds(total)} ms", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="% of the mean latency", xlim=(0, 100))
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1))


def _batches(axes: Axes, batches: dict[str, int]) -> None:
    total = sum(batches.values())
    places = range(len(batches))
    bars = axes.bar(places, [100 * count / total for count in batches.values()], width=0.8)
    if len(batches) <= 20:
        axes.bar_label(bars, [f"{100 * count / total:.0f}" for count in batches.values()], fontsize=8)
    axes.set_xticks(places, list(batches), fontsize=8 if len(batches) <= 32 else 5)
    axes.set(xlabel="images of an engine call", ylabel="% of the answers")
    axes.grid(visible=False, axis="x")


def _plain_numbers(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(mpl.ticker.LogFormatter(minor_thresholds=(2, 0.6)))
