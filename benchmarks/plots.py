"""The look of all plots: one palette, few lines, values named where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS = "#0b7a5c"  # mint, for our service
OTHERS = ("#5b6b7a", "#c2703d", "#4a74b5", "#9a5ea6", "#b4922b", "#a34a4a", "#6d8f3c")
INK, FAINT, PAPER = "#1f2a30", "#d7dde0", "#ffffff"

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[OURS, *OTHERS]),
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "svg.hashsalt": "mintage",  # the same plot is the same file
}


@contextmanager
def figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of that many inches and its axes, row by row, in the house's style."""
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn, list(drawn.subplots(rows, columns, squeeze=False).flat)


def save(drawn: Figure, file: Path) -> None:
    """As SVG or PNG, by the file's suffix; no date in it. Call it within `figure`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if file.suffix == ".svg" else None
    drawn.savefig(file, dpi=144, metadata=metadata)


def batch_axis(axes: Axes, batches: Sequence[int]) -> None:
    """Images of a call along the bottom, each batch at an even distance from its double."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(batches), [str(batch) for batch in batches])
    axes.set_xlabel("images of a call")
