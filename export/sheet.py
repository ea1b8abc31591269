"""The sheet of an artifact: what a generator makes, for people to look at."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generator.pixels import Pixels, enlarge
from generator.spec import GeneratorSpec

ROWS, COLUMNS = 10, 16  # at most so many classes, so many seeds
PICTURE = 56  # pixels a picture at least
GAP, MARGIN, FONT = 4, 16, 17  # pixels
GROUND, INK = "#16181d", "#c9ced8"


def sheet_classes(spec: GeneratorSpec) -> list[int]:
    """The classes shown, evenly chosen where there are many."""
    rows = np.linspace(0, spec.num_classes - 1, min(spec.num_classes, ROWS)).round()
    return [int(row) for row in rows]


def draw_sheet(images: Pixels, spec: GeneratorSpec) -> bytes:
    """uint8 [classes x COLUMNS, H, W, C], class by class -> a PNG: a row a class, its name before it."""
    pictures = enlarge(images, -(-PICTURE // spec.image_size))
    side = pictures.shape[1]
    font = ImageFont.load_default(FONT)
    names = [_shortened(spec.class_names[index]) for index in sheet_classes(spec)]
    left = MARGIN + int(max(font.getlength(name) for name in names)) + MARGIN
    step = side + GAP
    width = left + COLUMNS * step - GAP + MARGIN
    sheet = Image.new("RGB", (width, len(names) * step - GAP + 2 * MARGIN), GROUND)
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        top = MARGIN + row * step
        pen.text((left - MARGIN, top + side / 2), name, INK, font, anchor="rm")
        for column in range(COLUMNS):
            picture = pictures[row * COLUMNS + column]
            picture = np.broadcast_to(picture, (side, side, 3))
            sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left + column * step, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _shortened(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
