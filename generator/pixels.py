"""Pixels: the one place where value ranges are written down, and what is done with finished images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

# Networks work in [-1, 1]: value = pixel / HALF_RANGE - 1. The exported graph ends with the way back.
HALF_RANGE = 127.5


def to_network(pixels: Pixels) -> npt.NDArray[np.float32]:
    """uint8 0..255 -> float32 in [-1, 1], same shape."""
    return pixels.astype(np.float32) / np.float32(HALF_RANGE) - np.float32(1)


def from_network(values: npt.NDArray[np.float32]) -> Pixels:
    """float32 in [-1, 1] -> uint8 0..255, same shape; halves to even, values outside are clipped."""
    return np.clip(np.round((values + 1) * HALF_RANGE), 0, 255).astype(np.uint8)


def enlarge(images: Pixels, scale: int) -> Pixels:
    """Whole-factor nearest neighbour: uint8 [..., H, W, C] -> [..., H * scale, W * scale, C]."""
    if scale == 1:
        return images
    return np.repeat(np.repeat(images, scale, axis=-3), scale, axis=-2)


def contact_sheet(images: Pixels, columns: int | None = None) -> Pixels:
    """Images side by side, row by row: uint8 [N, H, W, C] -> [rows * H, columns * W, C].

    Without `columns` the sheet is as near to square as possible; empty places are black.
    """
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = images
    cells = cells.reshape(rows, columns, height, width, channels)
    return cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def to_pillow(image: Pixels) -> Image.Image:
    """uint8 [H, W, 1 or 3] -> a grey or RGB image."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
