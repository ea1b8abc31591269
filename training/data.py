"""Labelled images from where people keep them: class folders, .npz, IDX files, Hugging Face data sets.

Everything is read and checked before a run writes its first file. Images are held in memory as uint8.
"""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from generator.spec import GeneratorSpec
from training.config import MAX_NETWORK_SIZE, TrainConfig
from training.shapes import draw_shapes

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
IDX_IMAGES, IDX_LABELS = 0x00000803, 0x00000801  # LeCun's magic numbers: uint8 in 3 dimensions, in 1


class DataError(ValueError):
    """Data that cannot be trained on, with the file, what is wrong with it, and the way out."""


@dataclass(frozen=True)
class Dataset:
    images: npt.NDArray[np.uint8]  # [N, H, W, C], H = W
    labels: npt.NDArray[np.int64]  # [N], indices into class_names
    class_names: tuple[str, ...]

    def spec(self, config: TrainConfig) -> GeneratorSpec:
        """The generator that these images make with these options."""
        channels: Literal[1, 3] = 1 if self.images.shape[3] == 1 else 3
        return GeneratorSpec(
            class_names=self.class_names,
            image_size=self.images.shape[1],
            channels=channels,
            latent_dim=config.latent_dim,
            noise=config.noise,
        )


def load_dataset(config: TrainConfig) -> Dataset:
    """Reads and checks the data that the options name. Raises DataError."""
    source = config.data
    if not source:
        raise DataError(
            "no data: --data takes a folder with one folder per class, an .npz, a folder of IDX files, "
            "hf:NAME, or 'shapes'"
        )
    if source == "shapes":
        images, labels, names = draw_shapes(config.image_size or 16, config.seed)
        return _checked(_with_channels(images, config.channels), labels, names, source)
    if source.startswith("hf:"):
        return _read_hugging_face(source, config)
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(
            f"{path} does not exist: --data takes a folder with one folder per class, an .npz, a folder "
            "of IDX files, hf:NAME, or 'shapes'"
        )
    if path.suffix == ".npz":
        return _read_npz(path, config)
    if not path.is_dir():
        raise DataError(f"{path} is neither a folder nor an .npz file")
    if any("idx3-ubyte" in file.name for file in path.iterdir()):
        return _read_idx(path, config)
    return _read_folder(path, config)


def _read_folder(path: Path, config: TrainConfig) -> Dataset:
    folders = sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(folders) < 2:
        raise DataError(
            f"{path} has {len(folders)} class folders: a conditional generator needs at least 2, "
            "each with the images of one class"
        )
    pictures: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    first: tuple[str, tuple[int, ...]] | None = None
    for index, folder in enumerate(folders):
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(
                f"class folder {folder} is empty: it needs {', '.join(SUFFIXES)} files; "
                "remove the folder if it is no class"
            )
        for file in files:
            picture = _read_picture(file, config)
            first = first or (str(file), picture.shape)
            if picture.shape[:2] != first[1][:2]:
                raise DataError(
                    f"mixed sizes: {first[0]} is {_size(first[1])}, {file} is {_size(picture.shape)}; "
                    "--image-size N resizes all of them"
                )
            pictures.append(picture)
            labels.append(index)
    if config.channels is None and any(picture.shape[2] == 3 for picture in pictures):
        pictures = [np.broadcast_to(p, (*p.shape[:2], 3)) for p in pictures]
    return _checked(
        np.stack(pictures), np.array(labels), [folder.name for folder in folders], str(path), config
    )


def _read_picture(file: Path, config: TrainConfig) -> npt.NDArray[np.uint8]:
    """One image file, uint8 [H, W, C], transparent places white."""
    try:
        with Image.open(file) as image:
            return _picture(image, config)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file} cannot be read as an image: {error}") from error


def _picture(image: Image.Image, config: TrainConfig) -> npt.NDArray[np.uint8]:
    grey = image.mode in ("1", "L", "LA", "I", "I;16", "F") if config.channels is None else (
        config.channels == 1
    )  # fmt: skip
    if image.has_transparency_data:
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, "white"), image.convert("RGBA")
        )
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    image = image.convert("L" if grey else "RGB")
    if config.image_size is not None:
        image = _resized(image, config.image_size)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _resized(image: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle, at size x size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square if side == size else square.resize((size, size), Image.Resampling.LANCZOS)


def _read_npz(path: Path, config: TrainConfig) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {
                key: stored[key] for key in ("images", "labels", "class_names") if key in stored
            }
            kept = stored.files
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}") from error
    if missing := sorted({"images", "labels"} - arrays.keys()):
        raise DataError(f"{path} has no array {missing[0]!r}, only {', '.join(kept)}")
    images, labels = arrays["images"], arrays["labels"]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.size == 0:
        raise DataError(f"{path}: labels are {labels.dtype} {labels.shape}, not whole numbers [N]")
    if labels.min() < 0:
        raise DataError(f"{path}: label {labels.min()} is negative: labels are indices from 0")
    names = arrays.get("class_names", np.arange(labels.max() + 1).astype(str)).tolist()
    return _from_arrays(images, labels, [str(name) for name in names], str(path), config)


def _read_idx(path: Path, config: TrainConfig) -> Dataset:
    found = {
        kind: sorted(file for file in path.iterdir() if kind in file.name and "t10k" not in file.name)
        for kind in ("idx3-ubyte", "idx1-ubyte")
    }
    for kind, files in found.items():
        if len(files) != 1:
            raise DataError(
                f"{path} has {len(files)} training files *{kind}*: exactly one is needed, such as "
                f"train-{'images' if '3' in kind else 'labels'}-{kind}.gz"
            )
    images = _read_idx_file(found["idx3-ubyte"][0], IDX_IMAGES)
    labels = _read_idx_file(found["idx1-ubyte"][0], IDX_LABELS)
    names = [str(number) for number in range(int(labels.max(initial=0)) + 1)]
    return _from_arrays(images, labels, names, str(path), config)


def _read_idx_file(file: Path, magic: int) -> npt.NDArray[np.uint8]:
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    dimensions = magic & 0xFF
    header = 4 * (1 + dimensions)
    found, *shape = struct.unpack(f">{1 + dimensions}I", content[:header].ljust(header, b"\0"))
    if found != magic or len(content) != header + math.prod(shape):
        raise DataError(
            f"{file} is not a whole IDX file: it begins with {found:#010x} (expected {magic:#010x}) and "
            f"has {len(content)} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_hugging_face(source: str, config: TrainConfig) -> Dataset:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{source} needs the package `datasets`: pip install -e '.[huggingface]'"
        ) from error
    try:
        rows: Any = datasets.load_dataset(source.removeprefix("hf:"), split="train")
    except Exception as error:
        raise DataError(f"{source} cannot be loaded: {type(error).__name__}: {error}") from error
    columns = rows.features
    images = [key for key, kind in columns.items() if isinstance(kind, datasets.Image)]
    labels = [key for key, kind in columns.items() if isinstance(kind, datasets.ClassLabel)]
    if len(images) != 1 or len(labels) != 1:
        raise DataError(
            f"{source} has the columns {', '.join(columns)}: exactly one Image and one ClassLabel are "
            "needed"
        )
    pictures = [_picture(image, config) for image in rows[images[0]]]
    _same_size(pictures, source)
    names: list[str] = columns[labels[0]].names
    return _checked(np.stack(pictures), np.array(rows[labels[0]]), names, source, config)


def _same_size(pictures: Sequence[npt.NDArray[np.uint8]], source: str) -> None:
    for number, picture in enumerate(pictures):
        if picture.shape != pictures[0].shape:
            raise DataError(
                f"mixed sizes in {source}: image 0 is {_size(pictures[0].shape)}, image {number} is "
                f"{_size(picture.shape)}; --image-size N and --channels make them the same"
            )


def _from_arrays(
    images: npt.NDArray[Any], labels: npt.NDArray[Any], names: Sequence[str], source: str,
    config: TrainConfig,
) -> Dataset:  # fmt: skip
    if images.dtype != np.uint8:
        raise DataError(f"{source}: images are {images.dtype}, not uint8 (0..255)")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(f"{source}: images are {images.shape}, not [N, H, W] or [N, H, W, 1 or 3]")
    images = _with_channels(images, config.channels)
    if config.image_size is not None and images.shape[1:3] != (config.image_size,) * 2:
        images = _resize_all(images, config.image_size)
    return _checked(images, labels, names, source, config)


def _with_channels(images: npt.NDArray[np.uint8], channels: int | None) -> npt.NDArray[np.uint8]:
    """Images turned grey or RGB where asked: [N, H, W, C] -> [N, H, W, channels]."""
    if channels is None or images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    return np.round(images @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]


def _resize_all(images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """[N, H, W, C] -> [N, size, size, C]."""
    squeezed: Iterable[npt.NDArray[np.uint8]] = (
        images[..., 0] if images.shape[3] == 1 else images
    )
    resized = np.stack([np.asarray(_resized(Image.fromarray(image), size)) for image in squeezed])
    return resized[..., None] if resized.ndim == 3 else resized


def _checked(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[Any], names: Sequence[str], source: str,
    config: TrainConfig | None = None,
) -> Dataset:  # fmt: skip
    """A data set that can be trained on, or a DataError."""
    if len(images) != len(labels):
        raise DataError(f"{source}: {len(images)} images but {len(labels)} labels")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(names):
        raise DataError(
            f"{source}: labels go from {labels.min()} to {labels.max()}, but there are "
            f"{len(names)} class names"
        )
    counts = Counter(labels.tolist())
    if empty := [name for index, name in enumerate(names) if not counts[index]]:
        raise DataError(f"{source}: class {empty[0]!r} is empty: it has no image")
    height, width = images.shape[1:3]
    if height != width:
        raise DataError(
            f"{source}: images are {_size(images.shape[1:])}, not square; --image-size N cuts out "
            "the middle and resizes it"
        )
    if height > MAX_NETWORK_SIZE:
        raise DataError(
            f"{source}: images are {_size(images.shape[1:])}; networks make up to "
            f"{MAX_NETWORK_SIZE} pixels: --image-size {MAX_NETWORK_SIZE} resizes them"
        )
    if config is not None and config.fit == "resize":
        from training.networks import network_size

        if network_size(height) != height:
            images = _resize_all(images, network_size(height))
    return Dataset(np.ascontiguousarray(images), labels.astype(np.int64), tuple(names))


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]}"
