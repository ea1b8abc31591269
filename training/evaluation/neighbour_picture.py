"""A picture to judge by eye whether a generator copies: its images beside their nearest training images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from generator.pixels import Pixels, enlarge
from training.evaluation.copying import MOST, PIXELS, CopyCheck, rows_to_show

CLASSES, NEAREST = 6, 6  # rows: the first image of so many classes, and the so many nearest of all
PICTURE = 64  # pixels a picture at least
GAP, MARGIN, WIDE, LINE = 4, 20, 28, 22
GROUND, INK, FAINT, MARK = "#ffffff", "#1f2a30", "#6b7a82", "#0b7a5c"


def draw_neighbours(
    images: Pixels, labels: npt.NDArray[np.int64], check: CopyCheck, title: str
) -> Image.Image:
    """Rows of: a generated image, its nearest training images by pixels, the same by features."""
    found = check.neighbours(images)
    by_pixels, by_features = found[PIXELS], found[check.space.name]
    classes = np.linspace(0, labels.max(), min(int(labels.max()) + 1, CLASSES)).round()
    rows = rows_to_show(by_pixels, labels[:MOST], [int(label) for label in classes], NEAREST)
    first = len(rows) - NEAREST
    count = by_pixels.rows.shape[1]
    side = images.shape[1] * -(-PICTURE // images.shape[1])
    step = side + GAP
    group = count * step - GAP
    left = [MARGIN, MARGIN + side + WIDE, MARGIN + side + WIDE + group + WIDE]
    top = MARGIN + LINE + 8
    height = top + 2 * (LINE + 10) + LINE + len(rows) * step + MARGIN
    sheet = Image.new("RGB", (left[2] + group + MARGIN, height), GROUND)
    pen = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(13), ImageFont.load_default(17)
    pen.text((MARGIN, MARGIN), title, INK, large)
    heads = ("generated", "nearest training images, by pixels", f"the same, by {check.space.title}")
    for x, head in zip(left, heads, strict=True):
        pen.text((x, top), head, FAINT, small)
    y = top + LINE
    for number, row in enumerate(rows):
        if number in (0, first):
            what = "the first of each class" if number == 0 else "those nearest to a training image of all"
            pen.text((MARGIN, y + 6), what, MARK, small)
            y += LINE + 10
        _paste(sheet, images[row], (left[0], y), side)
        for x, neighbours in ((left[1], by_pixels), (left[2], by_features)):
            _paste_all(sheet, check.training.images[neighbours.rows[row].numpy()], (x, y), side)
        y += step
    return sheet.crop((0, 0, sheet.width, y + MARGIN - GAP))


def save_neighbours(picture: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, "PNG", optimize=True)


def _paste_all(sheet: Image.Image, images: Pixels, place: tuple[int, int], side: int) -> None:
    for number, image in enumerate(images):
        _paste(sheet, image, (place[0] + number * (side + GAP), place[1]), side)


def _paste(sheet: Image.Image, image: Pixels, place: Sequence[int], side: int) -> None:
    large = enlarge(image, side // image.shape[0])
    rgb = np.ascontiguousarray(np.broadcast_to(large, (side, side, 3)))
    sheet.paste(Image.fromarray(rgb), (place[0], place[1]))
