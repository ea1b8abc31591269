"""The sheet of an artifact: what a generator makes, for people to look at."""

from __future__ import annotations

import io

import numpy as np

from generator.pixels import Pixels, enlarge
from generator.sheets import labelled_sheet
from generator.spec import GeneratorSpec

ROWS, COLUMNS = 10, 16  # at most so many classes, so many seeds
PICTURE = 56  # pixels a picture at least


def sheet_classes(spec: GeneratorSpec) -> list[int]:
    """The classes shown, evenly chosen where there are many."""
    rows = np.linspace(0, spec.num_classes - 1, min(spec.num_classes, ROWS)).round()
    return [int(row) for row in rows]


def draw_sheet(images: Pixels, spec: GeneratorSpec) -> bytes:
    """uint8 [classes x COLUMNS, H, W, C], class by class -> a PNG: a row a class, its name before it."""
    names = [spec.class_names[index] for index in sheet_classes(spec)]
    buffer = io.BytesIO()
    labelled_sheet(enlarge(images, -(-PICTURE // spec.image_size)), names).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
