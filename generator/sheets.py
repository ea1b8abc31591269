"""Sheets of images with words beside them: a row for each of some things, a column for each of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generator.pixels import Pixels

GAP, MARGIN, MAX_FONT, MIN_FONT = 4, 16, 17, 9  # pixels
MAX_WORD = 20  # characters
GROUND, INK = "#16181d", "#c9ced8"


def labelled_sheet(images: Pixels, rows: Sequence[str], columns: Sequence[str] = ()) -> Image.Image:
    """uint8 [rows x columns, H, W, C], row by row -> a picture in RGB with a name before each row.

    Names of columns stand above them, upright where they are wider than an image.
    """
    count, side = len(images) // len(rows), images.shape[1]
    height = max(MIN_FONT, min(MAX_FONT, side * 3 // 5))
    font = ImageFont.load_default(height)
    names = [_shortened(name) for name in rows]
    heads = [_word(_shortened(name), font) for name in columns]
    turned = any(head.width > side for head in heads)
    heads = [head.transpose(Image.Transpose.ROTATE_90) if turned else head for head in heads]
    left = MARGIN + int(max(font.getlength(name) for name in names)) + MARGIN
    top = MARGIN + max((head.height + MARGIN // 2 for head in heads), default=0)
    step = max(side, height + 2) + GAP
    size = (left + count * step - GAP + MARGIN, top + len(rows) * step - GAP + MARGIN)
    sheet = Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        place = (left + column * step + (side - head.width) // 2, top - MARGIN // 2 - head.height)
        sheet.paste(INK, place, head)
    for row, name in enumerate(names):
        y = top + row * step
        pen.text((left - MARGIN, y + side / 2), name, INK, font, anchor="rm")
        for column in range(count):
            image = np.broadcast_to(images[row * count + column], (side, side, 3))
            sheet.paste(Image.fromarray(np.ascontiguousarray(image)), (left + column * step, y))
    return sheet


def _word(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A word as a mask, cut out closely."""
    _, _, width, height = font.getbbox(text)
    mask = Image.new("L", (max(1, int(width)), max(1, int(height))))
    ImageDraw.Draw(mask).text((0, 0), text, 255, font)
    return mask.crop(mask.getbbox())


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_WORD else f"{name[: MAX_WORD - 1]}…"
