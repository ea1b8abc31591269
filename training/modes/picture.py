"""Films of the runs: a panel for each recipe, real and generated points over the discriminator's opinion."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from training.modes.cells import MARGIN, Cell
from training.modes.mixtures import MIXTURES, Mixture
from training.modes.recipes import RECIPES

PANEL, TITLE, GAP = 216, 34, 12  # pixels
COLUMNS = 6
FRAME_MS, LAST_MS = 120, 3000
REAL_POINTS = 400
RING = 9  # pixels from a mode's centre to the ring around it
INK, FAINT, PAPER = "#1f2a30", "#5b6b7a", "#ffffff"
REAL, GENERATED = (11, 122, 92), (150, 40, 20)  # mint; rust
WARM, COOL = np.array([240, 196, 140.0]), np.array([178, 200, 226.0])  # taken for real; for generated

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Panel:
    """One run's frames and its heading."""

    title: str
    steps: npt.NDArray[np.int64]  # [F]
    modes: npt.NDArray[np.int64]  # [F]
    high_quality: npt.NDArray[np.float64]  # [F]
    points: npt.NDArray[np.float32]  # [F, N, 2]
    heat: npt.NDArray[np.float32]  # [F, S, S] logits, rows from the top


def films(cells: Iterable[Cell], folder: Path) -> list[Path]:
    """An animation, and its last frame as a still, for each mixture that has filmed runs; the files."""
    written: list[Path] = []
    filmed = [cell for cell in cells if cell.film(folder).is_file()]
    for name, mixture in MIXTURES.items():
        panels = [_panel(cell.film(folder), cell.recipe) for cell in filmed if cell.mixture == name]
        if not panels:
            continue
        count = max(len(panel.steps) for panel in panels)
        frames = [_frame(panels, moment, mixture) for moment in range(count)]
        film, still = folder / f"{name}.webp", folder / f"{name}.png"
        durations = [FRAME_MS] * (count - 1) + [LAST_MS]
        frames[0].save(film, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80)
        frames[-1].quantize(128).save(still, optimize=True)
        written += [film, still]
    return written


def _panel(file: Path, recipe: str) -> _Panel:
    with np.load(file) as film:
        kept = {key: film[key] for key in ("steps", "modes", "high_quality", "points", "heat")}
    return _Panel(RECIPES[recipe].about, **kept)


def _frame(panels: list[_Panel], moment: int, mixture: Mixture) -> Image.Image:
    """All panels at the moment; those with fewer frames at their last."""
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, height = columns * (PANEL + GAP) + GAP, rows * (PANEL + TITLE + GAP) + GAP
    canvas = Image.new("RGB", (width, height + TITLE // 2), PAPER)
    pen = ImageDraw.Draw(canvas)
    bold, small = ImageFont.load_default(12), ImageFont.load_default(11)
    for place, panel in enumerate(panels):
        left = GAP + place % columns * (PANEL + GAP)
        top = GAP + place // columns * (PANEL + TITLE + GAP)
        at = min(moment, len(panel.steps) - 1)
        pen.text((left, top), panel.title, INK, bold)
        found = f"{panel.modes[at]} of {len(mixture.centres)} modes, {panel.high_quality[at]:.0%} of points"
        pen.text((left, top + 15), found, FAINT, small)
        canvas.paste(_picture(panel, at, mixture), (left, top + TITLE))
    step = int(panels[0].steps[min(moment, len(panels[0].steps) - 1)])
    legend = (
        f"step {step:,}      green: real points      red: generated points      "
        "rings: modes      warm ground: taken for real, cool: for generated"
    )
    pen.text((GAP, height - GAP // 2), legend, INK, small)
    return canvas


def _picture(panel: _Panel, at: int, mixture: Mixture) -> Image.Image:
    """The plane with the discriminator's opinion, the modes and both kinds of points, PANEL pixels wide."""
    logits = panel.heat[at]
    middle, scale = np.median(logits), logits.std() + 1e-6  # critics' scores have no scale of their own
    opinion = 0.5 + 0.5 * np.tanh((logits - middle) / scale)  # [S, S] in (0, 1)
    ground = Image.fromarray((opinion * 255).astype(np.uint8)).resize(
        (PANEL, PANEL), Image.Resampling.BICUBIC
    )
    share = np.asarray(ground, dtype=np.float32)[..., None] / 255
    pixels: Pixels = (share * WARM + (1 - share) * COOL).round().astype(np.uint8)
    span = mixture.reach * MARGIN
    _dots(pixels, mixture.real_points(REAL_POINTS), span, REAL)
    _dots(pixels, panel.points[at], span, GENERATED)
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for column, row in _places(np.array(mixture.centres), span):
        pen.ellipse((column - RING, row - RING, column + RING, row + RING), outline=REAL)
    return picture


def _dots(pixels: Pixels, points: npt.NDArray[np.float32], span: float, colour: tuple[int, int, int]) -> None:
    """A square of two pixels at each point [N, 2] that is in the picture."""
    places = _places(points, span)
    columns, rows = places[((places >= 0) & (places < PANEL - 1)).all(1)].T
    for down in (0, 1):
        for right in (0, 1):
            pixels[rows + down, columns + right] = colour


def _places(points: npt.NDArray[np.floating[Any]], span: float) -> npt.NDArray[np.int64]:
    """Points [N, 2] of the plane as columns and rows of pixels, [N, 2]."""
    places = np.stack([1 + points[:, 0] / span, 1 - points[:, 1] / span], axis=1) / 2 * PANEL
    return np.clip(places, -1, PANEL).astype(np.int64)
