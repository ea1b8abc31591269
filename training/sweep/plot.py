"""The plot of a sweep: the scores in the order of the trials, and against each option that was searched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from optuna.trial import FrozenTrial, TrialState

from training.sweep.results import options_of
from training.sweep.searched import Searched

FILE = "results.png"
MINT, INK, FAINT, LOST = "#0b7a5c", "#1f2a30", "#d7dde0", "#a9b4ba"
PANEL = 3.1  # inches
PER_ROW = 4
WIDE_SPREAD = 5  # times the best score: from there on scores are shown in their logarithm
STYLE: Any = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


def plot_results(folder: Path, trials: Sequence[FrozenTrial], searched: Sequence[Searched]) -> Path | None:
    """Writes results.png; None where no trial has come to its own end yet."""
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not whole:
        return None
    panels = 1 + len(searched)
    columns = min(panels, PER_ROW)
    rows = -(-panels // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(columns * PANEL, rows * PANEL * 0.85), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        _history(axes[0], trials, whole)
        best = min(whole, key=lambda trial: trial.value or 0)
        for one, axis in zip(searched, axes[1:], strict=False):
            _option(axis, one, whole, best)
        for axis in axes[panels:]:
            axis.set_visible(False)
        scores = [trial.value or 0 for trial in whole]
        if max(scores) > WIDE_SPREAD * min(scores) > 0:
            axes[0].set_yscale("log")
        for axis in axes[::columns]:
            axis.set_ylabel("Fréchet distance, lower is better")
        figure.savefig(folder / FILE, dpi=144)
    return folder / FILE


def _history(axis: Axes, trials: Sequence[FrozenTrial], whole: Sequence[FrozenTrial]) -> None:
    """Scores in their order, the best so far as a line, trials that were ended early as ticks below."""
    numbers = [trial.number for trial in whole]
    scores = [trial.value or 0 for trial in whole]
    axis.scatter(numbers, scores, s=22, color=MINT, zorder=3)
    axis.step(numbers, np.minimum.accumulate(scores), where="post", color=MINT, linewidth=1.2)
    early = [trial.number for trial in trials if trial.state == TrialState.PRUNED]
    axis.plot(
        early, [0.02] * len(early), "x", color=LOST, markersize=5, transform=axis.get_xaxis_transform(),
        clip_on=False,
    )  # fmt: skip
    axis.set_title("best so far" + ("; x ended early" if early else ""))
    axis.set_xlabel("trial")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _option(axis: Axes, one: Searched, whole: Sequence[FrozenTrial], best: FrozenTrial) -> None:
    """Scores against the values of one option; the best trial's in full."""
    for trial in whole:
        text = options_of(trial)[one.option]
        place = one.values.index(text) if one.values else float(text)
        is_best = trial.number == best.number
        axis.scatter([place], [trial.value or 0], s=44 if is_best else 22, zorder=3,
                     color=MINT, alpha=1 if is_best else 0.45)  # fmt: skip
    axis.set_title(one.option)
    if one.values:
        axis.set_xticks(range(len(one.values)), [value or "none" for value in one.values])
        axis.set_xlim(-0.5, len(one.values) - 0.5)
        return
    if one.is_log:
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(one.low, one.high)
