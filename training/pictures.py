"""Pictures as training needs them: one file -> uint8 [H, W, C], grey or RGB, resized where asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from training.config import MAX_NETWORK_SIZE, TrainConfig

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
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
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


def stack(pictures: Iterable[tuple[str, Pixels]]) -> Pixels:
    """[N, H, W, C] of named pictures, read one by one; one RGB picture makes all of them RGB.

    Raises DataError at the first that is too large or of another size than the one before it.
    """
    read: list[tuple[str, Pixels]] = []
    for name, picture in pictures:
        check_size(name, picture.shape)
        first_name, first = read[0] if read else (name, picture)
        if picture.shape[:2] != first.shape[:2]:
            raise DataError(
                f"mixed sizes: {first_name} is {_size(first.shape)}, {name} is {_size(picture.shape)}; "
                "--image-size N resizes all of them"
            )
        read.append((name, picture))
    channels = max(picture.shape[2] for _, picture in read)
    return np.stack([np.broadcast_to(p, (*p.shape[:2], channels)) for _, p in read])


def check_size(name: str, shape: Sequence[int]) -> None:
    """Raises DataError for images [H, W, ...] that are larger than networks make."""
    if max(shape[:2]) > MAX_NETWORK_SIZE:
        raise DataError(
            f"{name} is {_size(shape)}; networks make up to {MAX_NETWORK_SIZE} pixels: "
            f"--image-size {MAX_NETWORK_SIZE} resizes all images"
        )


def check_square(name: str, shape: Sequence[int]) -> None:
    """Raises DataError for images [H, W, ...] that are not square."""
    if shape[0] != shape[1]:
        raise DataError(
            f"{name}: images are {_size(shape)}, not square; --image-size N cuts out the middle and "
            "resizes it"
        )


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


def _size(shape: Sequence[int]) -> str:
    """'width x height' of [H, W, ...]."""
    return f"{shape[1]} x {shape[0]}"


def _resized(image: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle, at size x size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), Image.Resampling.LANCZOS)
