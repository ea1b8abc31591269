"""Films of the runs: a panel for each recipe, real and generated points over the discriminator's opinion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from training.modes.cells import MARGIN, Cell
from training.modes.mixtures import MIXTURES, Coverage
from training.modes.recipes import RECIPES

PANEL, TITLE, GAP = 216, 34, 12  # pixels
COLUMNS = 6
FRAME_MS, LAST_MS = 120, 3000
REAL_POINTS = 400
INK, FAINT, PAPER = "#1f2a30", "#5b6b7a", "#ffffff"
REAL, GENERATED = (11, 122, 92), (150, 40, 20)  # mint; rust
WARM, COOL = np.array([240, 196, 140.0]), np.array([178, 200, 226.0])  # taken for real; for generated

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Panel:
    """One run's frames and its heading."""

    title: str
    note: str
    steps: npt.NDArray[np.int64]  # [F]
    points: npt.NDArray[np.float32]  # [F, N, 2]
    heat: npt.NDArray[np.float32]  # [F, S, S] logits, rows from the top


def films(results: dict[Cell, Coverage], folder: Path) -> list[Path]:
    """An animation, and its last frame as a still, for each mixture that has filmed runs; the files."""
    written: list[Path] = []
    for name, mixture in MIXTURES.items():
        filmed = {
            cell: found
            for cell, found in results.items()
            if cell.mixture == name and cell.film(folder).is_file()
        }
        panels = [_panel(cell, found, folder) for cell, found in filmed.items()]
        if not panels:
            continue
        real = mixture.real_points(REAL_POINTS)
        span = mixture.reach * MARGIN
        count = max(len(panel.steps) for panel in panels)
        frames = [_frame(panels, min(n, count - 1), real, span) for n in range(count)]
        film, still = folder / f"{name}.webp", folder / f"{name}.png"
        durations = [FRAME_MS] * (count - 1) + [LAST_MS]
        frames[0].save(film, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80)
        frames[-1].quantize(128).save(still, optimize=True)
        written += [film, still]
    return written


def _panel(cell: Cell, found: Coverage, folder: Path) -> _Panel:
    with np.load(cell.film(folder)) as film:
        note = (
            f"{found.modes} of {len(MIXTURES[cell.mixture].centres)} modes, {found.high_quality:.0%} on them"
        )
        return _Panel(RECIPES[cell.recipe].about, note, film["steps"], film["points"], film["heat"])


def _frame(panels: list[_Panel], moment: int, real: npt.NDArray[np.float32], span: float) -> Image.Image:
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
        pen.text((left, top + 15), panel.note, FAINT, small)
        canvas.paste(Image.fromarray(_picture(panel, at, real, span)), (left, top + TITLE))
    step = int(panels[0].steps[min(moment, len(panels[0].steps) - 1)])
    legend = (
        f"step {step:,}      green: real points      red: generated points      "
        "warm ground: taken for real, cool: for generated"
    )
    pen.text((GAP, height - GAP // 2), legend, INK, small)
    return canvas


def _picture(panel: _Panel, at: int, real: npt.NDArray[np.float32], span: float) -> Pixels:
    """The plane with the discriminator's opinion and both kinds of points, uint8 [PANEL, PANEL, 3]."""
    logits = panel.heat[at].astype(np.float32)
    middle, scale = np.median(logits), logits.std() + 1e-6  # critics' scores have no scale of their own
    opinion = 0.5 + 0.5 * np.tanh((logits - middle) / scale)  # [S, S] in (0, 1)
    ground = Image.fromarray((opinion * 255).astype(np.uint8)).resize(
        (PANEL, PANEL), Image.Resampling.BICUBIC
    )
    share = np.asarray(ground, dtype=np.float32)[..., None] / 255
    pixels: Pixels = (share * WARM + (1 - share) * COOL).round().astype(np.uint8)
    _dots(pixels, real, span, REAL)
    _dots(pixels, panel.points[at], span, GENERATED)
    return pixels


def _dots(pixels: Pixels, points: npt.NDArray[np.float32], span: float, colour: tuple[int, int, int]) -> None:
    """A square of two pixels at each point [N, 2] that is in the picture."""
    columns = ((points[:, 0] / span + 1) / 2 * PANEL).astype(int)
    rows = ((1 - points[:, 1] / span) / 2 * PANEL).astype(int)
    inside = (columns >= 0) & (columns < PANEL - 1) & (rows >= 0) & (rows < PANEL - 1)
    for down in (0, 1):
        for right in (0, 1):
            pixels[rows[inside] + down, columns[inside] + right] = colour
