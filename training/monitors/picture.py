"""stats.png: all monitors over the run, with the alarms where they were raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from training.monitors.alarms import LEAST_DIVERSITY, Alarm
from training.monitors.window import Line
from training.plot_style import ALARM, BLUE, INK, LOST, MINT, RUST, SLATE, STYLE

FILE = "stats.png"
WIDE, LINEAR = 100, 10  # losses or scores beyond the first: all beyond the second by their logarithm
COLUMNS, WIDTH, HEIGHT = 4, 3.1, 2.5  # panels a row, inches of each
TOLD_WIDTH = 140  # letters of a line below


@dataclass(frozen=True)
class Panel:
    title: str
    series: tuple[tuple[str, str, str], ...]  # (key of a line, its name here, colour)
    unit: str = ""
    marks: tuple[tuple[float, str], ...] = ()  # heights that mean something; told below the line
    high: float | None = None  # the axis goes from 0 to at least this
    gradients: bool = False  # they have a logarithmic axis


PANELS = (
    Panel(
        "Discriminator's accuracy", (("discriminator_accuracy", "", SLATE),), "pairs in the right order",
        ((0.5, "1/2: it cannot tell"),), high=1.02,
    ),
    Panel("Its scores", (("real_score", "D(x)", MINT), ("fake_score", "D(G(z))", RUST)), "mean logit"),
    Panel(
        "Overfitting",
        (("training_score", "training", MINT), ("held_out_score", "held out", BLUE),
         ("fake_score", "D(G(z))", RUST)),
        "mean logit",
    ),
    Panel(
        "Diversity within a class", (("diversity", "", RUST),), "share of the data's",
        ((1.0, "the data's"), (LEAST_DIVERSITY, "alarm")), high=1.1,
    ),
    Panel(
        "Losses", (("generator_loss", "generator", RUST), ("discriminator_loss", "discriminator", SLATE)),
        "mean over the steps",
    ),
    Panel(
        "Gradient norms",
        (("generator_gradient", "generator", RUST), ("discriminator_gradient", "discriminator", SLATE)),
        "Euclidean norm", gradients=True,
    ),
    Panel("Speed", (("images_per_s", "", SLATE),), "images/s", high=1),
    Panel("Waiting for data", (("data_wait", "", SLATE),), "share of the time", high=0.1),
)  # fmt: skip


def draw_stats(folder: Path, lines: Sequence[Line], alarms: Sequence[Alarm]) -> Path | None:
    """Writes the picture; None where there are no statistics yet."""
    if not lines:
        return None
    rows = len(PANELS) // COLUMNS
    with mpl.rc_context(STYLE):
        told = [wrapped for alarm in alarms for wrapped in wrap(_told(alarm), TOLD_WIDTH)]
        height = rows * HEIGHT + 0.35 + 0.2 * len(told)
        figure = Figure(figsize=(COLUMNS * WIDTH, height), layout="constrained")
        title = f"{folder.resolve().name} at {lines[-1]['kimg']:,.1f} kimg"
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        for panel, axes in zip(PANELS, figure.subplots(rows, COLUMNS).flat, strict=True):
            _draw(axes, panel, lines, alarms)
        if told:
            figure.supxlabel("\n".join(told), x=0.01, ha="left", fontsize=9, color=ALARM)
        unfinished = folder / f"{FILE}.unfinished"
        figure.savefig(unfinished, dpi=120, format="png")
    return unfinished.replace(folder / FILE)


def _told(alarm: Alarm) -> str:
    return f"{alarm.kind} at {alarm.kimg:g} kimg: {alarm.seen}"


def _draw(axes: Axes, panel: Panel, lines: Sequence[Line], alarms: Sequence[Alarm]) -> None:
    axes.set_title(panel.title)
    if not any(panel.series[0][0] in line for line in lines):
        axes.text(0.5, 0.5, "nothing to compare with", transform=axes.transAxes, ha="center", color=SLATE)
        axes.set_axis_off()
        return
    for key, name, colour in panel.series:
        there = [line for line in lines if key in line]
        kimg, values = [line["kimg"] for line in there], [line[key] for line in there]
        style = "--" if key == "held_out_score" else "-"  # it mostly lies on the other
        marker = "." if len(there) < 2 else ""
        axes.plot(kimg, values, style, color=colour, linewidth=1.4, label=name, marker=marker)
    for height, meaning in panel.marks:
        axes.axhline(height, color=LOST, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            meaning, (0, height), (3, -2), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="top", fontsize=8, color=INK,
        )  # fmt: skip
    for alarm in alarms:
        axes.axvline(alarm.kimg, color=ALARM, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_ylabel(panel.unit)
    axes.set_xlabel("kimg")
    if panel.high is not None:
        axes.set_ylim(0, max(panel.high, axes.get_ylim()[1]))
    elif panel.gradients:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda norm, _: f"{norm:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    elif max(map(abs, axes.get_ylim())) > WIDE:
        axes.set_yscale("symlog", linthresh=LINEAR)
    if len(panel.series) > 1:
        axes.legend(frameon=False, fontsize=8, handlelength=1.2, loc="best")
