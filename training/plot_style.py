"""The look of training's plots: one palette, few lines."""

from __future__ import annotations

from typing import Any

MINT, RUST, SLATE, BLUE = "#0b7a5c", "#c2703d", "#5b6b7a", "#4a74b5"
INK, FAINT, LOST, ALARM = "#1f2a30", "#d7dde0", "#a9b4ba", "#a3283a"
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
