"""Pictures as training needs them: one file -> uint8 [H, W, C], grey or RGB, resized where asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from training.config import TrainConfig

Pixels = npt.NDArray[np.uint8]

GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")  # Pillow's names of one-channel images
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's own conversion


class DataError(ValueError):
    """Data that cannot be trained on, with the file, what is wrong with it, and the way out."""


def read_picture(file: Path, config: TrainConfig) -> Pixels:
    """One image file, uint8 [H, W, C]. Raises DataError."""
    try:
        with Image.open(file) as image:
            return to_pixels(image, config)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file} cannot be read as an image: {error}; mend or remove it") from error


def to_pixels(image: Image.Image, config: TrainConfig) -> Pixels:
    """uint8 [H, W, C] with the channels and size that the options ask for; transparent is white."""
    image = ImageOps.exif_transpose(image)  # as cameras mean it to be seen
    grey = image.mode in GREY_MODES if config.channels is None else config.channels == 1
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    image = image.convert("L" if grey else "RGB")
    if config.image_size is not None:
        image = _resized(image, config.image_size)
    pixels: Pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def stack(pictures: Sequence[Pixels], names: Sequence[str]) -> Pixels:
    """[N, H, W, C] of pictures that were read one by one; one RGB picture makes all of them RGB.

    Raises DataError for mixed sizes, with the names of two that differ.
    """
    first = pictures[0].shape
    for name, picture in zip(names, pictures, strict=True):
        if picture.shape[:2] != first[:2]:
            raise DataError(
                f"mixed sizes: {names[0]} is {size_text(first)}, {name} is {size_text(picture.shape)}; "
                "--image-size N resizes all of them"
            )
    channels = max(picture.shape[2] for picture in pictures)
    return np.stack([np.broadcast_to(p, (*p.shape[:2], channels)) for p in pictures])


def with_channels(images: Pixels, channels: int | None) -> Pixels:
    """Images turned grey or RGB where asked: [N, H, W, C] -> [N, H, W, channels]."""
    if channels is None or images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    grey: Pixels = np.round(images @ LUMA).astype(np.uint8)
    return grey[..., None]


def resize_all(images: Pixels, size: int) -> Pixels:
    """[N, H, W, C] -> [N, size, size, C]."""
    if images.shape[1:3] == (size, size):
        return images
    flat = images[..., 0] if images.shape[3] == 1 else images
    resized = np.stack([np.asarray(_resized(Image.fromarray(image), size)) for image in flat])
    return resized[..., None] if resized.ndim == 3 else resized


def size_text(shape: Sequence[int]) -> str:
    """'width x height' of [H, W, ...]."""
    return f"{shape[1]} x {shape[0]}"


def _resized(image: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle, at size x size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), Image.Resampling.LANCZOS)
