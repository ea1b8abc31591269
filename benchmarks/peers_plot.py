"""A comparison with peers as a plot: requests a second of every server, with ranges."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmarks import plots
from benchmarks.comparison import (
    AGAIN,
    CONNECTIONS,
    PEAK,
    against,
    best_peer,
    complete,
    encoders_of,
    is_peer,
    rates_of,
)
from benchmarks.mintage import NAME
from benchmarks.peers.settings import Encoder
from benchmarks.results import Json

ABOUT = f"Requests a second of {NAME} and of other servers, at {', '.join(map(str, CONNECTIONS))} connections"
WIDTH, ROW, MARGINS = 8.4, 0.5, 1.9  # inches; at 96 dots an inch a little more than 800 pixels wide
HEADLINE, LEGEND_TOP, PANELS_TOP, PANELS_BOTTOM = 0.4, 0.45, 0.8, 0.35  # inches from the nearest edge
APART = 0.17  # rows; how far the two encoders' dots are from the middle of theirs
NAMES = {
    "fastapi": "FastAPI", "mosec": "mosec", "triton": "Triton", "litserve": "LitServe",
    "rayserve": "Ray Serve", "bentoml": "BentoML",
}  # fmt: skip
LEGEND: dict[Encoder, str] = {
    "ours": "with our engine, encoder",
    "encoder": "our encoder",
    "shipped": "as they are",
}
HEADLINES: dict[Encoder, str] = {
    "ours": "with our engine", "encoder": "with our encoder", "shipped": "as it is",
}  # fmt: skip
Dot = tuple[str, str, str, bool]  # server, colour, words of the legend, whether it is hollow
COLOURS: dict[Encoder, str] = {
    "ours": plots.OTHERS[3], "encoder": plots.OTHERS[2], "shipped": plots.OTHERS[1],
}  # fmt: skip


def draw(result: Json, file: Path) -> bool:
    """Writes the plot; False, and none, where ours failed."""
    if NAME not in complete(result):
        return False
    rows = _rows(result)
    height = MARGINS + ROW * len(rows)
    with plots.figure(WIDTH, height, 1, len(CONNECTIONS)) as (drawn, panels):
        for panel, count in zip(panels, CONNECTIONS, strict=True):
            _draw(panel, result, rows, count)
        for panel in panels[1:]:
            panel.set_yticklabels([])
        bottom, top = PANELS_BOTTOM / height, 1 - PANELS_TOP / height
        drawn.set_layout_engine("constrained", rect=(0, bottom, 1, top - bottom))
        headline, caption = 1 - HEADLINE / 2 / height, bottom / 2
        drawn.text(0.01, headline, _headline(result), fontsize=10, fontweight="bold", va="center")
        drawn.text(0.01, caption, _caption(result), fontsize=8, va="center")
        labels = panels[-1].get_legend_handles_labels()
        place = (0, 1 - LEGEND_TOP / height)
        drawn.legend(*labels, loc="upper left", bbox_to_anchor=place, ncols=len(labels[0]), fontsize=9)
        plots.save(drawn, file)
    return True


def _rows(result: Json) -> list[str]:
    """Servers without their encoders: ours, then the peers from the fastest to the slowest."""
    fastest: dict[str, float] = {}
    for name in filter(is_peer, complete(result)):
        peer = name.split(",")[0]
        fastest[peer] = max(fastest.get(peer, 0.0), statistics.median(rates_of(result, name, PEAK)))
    return [NAME, *sorted(fastest, key=fastest.__getitem__, reverse=True)]


def _dots(row: str, encoders: Sequence[Encoder]) -> list[Dot]:
    """Those of a row, the upper one first."""
    if row == NAME:
        return [(NAME, plots.OURS, NAME, False), (AGAIN, plots.OURS, f"{AGAIN} (noise)", True)]
    return [(f"{row}, {encoder}", COLOURS[encoder], LEGEND[encoder], False) for encoder in encoders]


def _draw(panel: Axes, result: Json, rows: list[str], count: int) -> None:
    """One number of connections."""
    rates = {name: rates_of(result, name, count) for name in complete(result)}
    for place, row in enumerate(rows):
        dots = _dots(row, encoders_of(result))
        for side, (name, colour, label, is_hollow) in enumerate(dots):
            if name in rates:
                height = place + (2 * side - len(dots) + 1) * APART
                _dot(panel, rates[name], height, colour, label, is_hollow)
    panel.axvline(statistics.median(rates[NAME]), color=plots.OURS, linewidth=0.8, alpha=0.5)
    panel.set_title(f"{count} connection{'s' if count > 1 else ''}", fontsize=10)
    panel.set_yticks(range(len(rows)), [NAMES.get(row, row) for row in rows])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlim(0, 1.25 * max(map(max, rates.values())))  # room for the figures
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.grid(axis="y", visible=False)
    panel.tick_params(length=0)
    panel.tick_params(axis="x", labelsize=8)


def _dot(panel: Axes, rates: list[float], place: float, colour: str, label: str, is_hollow: bool) -> None:
    """The median as a dot, the range as a line, the median's figure behind it."""
    median = statistics.median(rates)
    panel.plot([min(rates), max(rates)], [place, place], color=colour, linewidth=1.6, alpha=0.5)
    face = plots.PAPER if is_hollow else colour
    known = panel.get_legend_handles_labels()[1]
    text = None if label in known else label
    panel.plot([median], [place], "o", color=colour, markersize=5, markerfacecolor=face, label=text)
    panel.annotate(
        f"{median:,.0f}",
        (max(rates), place),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=colour,
        bbox={"facecolor": plots.PAPER, "edgecolor": "none", "pad": 0.5},
    )


def _headline(result: Json) -> str:
    """How many times as many requests as the best peers, at the peak."""
    parts = []
    for encoder in reversed(encoders_of(result)):
        if best := best_peer(result, encoder, PEAK):
            times = against(result, best, PEAK).median
            parts.append(f"{times:.1f} x {NAMES[best.split(',')[0]]} {HEADLINES[encoder]}")
    return f"At {PEAK} connections: {', '.join(parts)}" if parts else f"{NAME} alone"


def _caption(result: Json) -> str:
    hardware, settings = result["manifest"]["hardware"], result["manifest"]["settings"]
    return (
        f"Requests a second, one PNG each. {hardware['cores']} cores of {hardware['processor']}, shared with "
        "the load generator. "
        f"Median and range of {settings['repeats']} repeats of {settings['seconds']} s, in turns."
    )
