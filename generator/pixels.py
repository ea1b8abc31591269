"""Pixels: the one place where value ranges are written down, and what is done with finished images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

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


def from_pillow(image: Image.Image, size: int, channels: int) -> Pixels:
    """Any picture as a generator's own images are, uint8 [size, size, channels].

    Turned as its camera meant it, its centred square cut out, each pixel the mean of those that it covers,
    grey or coloured as asked; what is transparent becomes white, as in training.
    """
    image = ImageOps.exif_transpose(image)
    left, top = (image.width - image.height) // 2, (image.height - image.width) // 2
    side = min(image.size)
    image = image.crop((max(left, 0), max(top, 0), max(left, 0) + side, max(top, 0) + side))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BOX)
    return np.array(image, np.uint8).reshape(size, size, channels)


def rms_error(images: Pixels, others: Pixels) -> npt.NDArray[np.float64]:
    """The root of the mean squared difference of pixels, 0..255: [..., H, W, C] of both -> [...]."""
    difference = images.astype(np.float64) - others
    error: npt.NDArray[np.float64] = np.sqrt(np.mean(difference**2, axis=(-3, -2, -1)))
    return error
