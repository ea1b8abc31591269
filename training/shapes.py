"""A small data set drawn on the fly, so that a first run needs no download: filled shapes on black."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from training.sources import Found

CLASS_NAMES = ("Circle", "Square", "Triangle", "Cross")
IMAGES_PER_CLASS = 500
OVERSAMPLING = 8  # drawn larger, then reduced, for smooth edges


def draw_shapes(image_size: int, seed: int) -> Found:
    """2,000 grey images, the same for the same seed: a quarter of them each class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(CLASS_NAMES)), IMAGES_PER_CLASS)
    images = np.stack([_draw(int(label), image_size, rng) for label in labels])
    return Found(images[..., None], labels, list(CLASS_NAMES))


def _draw(label: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One shape at a random place, size, turn and brightness, uint8 [size, size]."""
    side = size * OVERSAMPLING
    radius = rng.uniform(0.28, 0.42) * side
    x, y = side / 2 + rng.uniform(-0.08, 0.08, 2) * side
    turn = rng.uniform(-0.3, 0.3)
    brightness = int(rng.integers(140, 256))
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)

    def corners(radii_and_angles: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [
            (x + radius * r * math.sin(turn + a), y - radius * r * math.cos(turn + a))
            for r, a in radii_and_angles
        ]

    name = CLASS_NAMES[label]
    if name == "Circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=brightness)
    elif name == "Cross":
        for way in (0.0, math.pi / 2):
            arm = [(1.0, way - 0.25), (1.0, way + 0.25), (1.0, way + math.pi - 0.25)]
            pen.polygon(corners([*arm, (1.0, way + math.pi + 0.25)]), fill=brightness)
    else:
        count = 3 if name == "Triangle" else 4
        start = 0.0 if count == 3 else math.pi / 4
        points = [(1.0, start + 2 * math.pi * k / count) for k in range(count)]
        pen.polygon(corners(points), fill=brightness)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))
