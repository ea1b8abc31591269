"""The data set of a run: read, checked and prepared before the run writes its first file.

Images are held in memory as uint8, a few hundred bytes to a few kilobytes each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from generator.spec import GeneratorSpec
from training.config import TrainConfig
from training.networks import network_size
from training.pictures import DataError, check_size, check_square, resize_all, with_channels
from training.shapes import draw_shapes
from training.sources import (
    Found,
    read_folder,
    read_hugging_face,
    read_idx,
    read_npz,
    read_test_images,
)

__all__ = ["DataError", "Dataset", "load_dataset", "load_test_images", "with_data_name"]

KINDS = (
    "a folder with one folder per class, an .npz, a folder of IDX files, hf:NAME for a Hugging Face data "
    "set, or 'shapes'"
)


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
    return _prepared(_find(config.data, config), config)


def load_test_images(config: TrainConfig) -> Dataset | None:
    """As `load_dataset`, the images that the source itself keeps for testing; None where it keeps none."""
    found = read_test_images(config.data, config)
    return _prepared(found, config, every_class=False) if found else None


def _prepared(found: Found, config: TrainConfig, every_class: bool = True) -> Dataset:
    source = config.data
    labels, names = _checked_labels(found, source, every_class)
    images = _checked_images(found.images, source)
    if len(images) != len(labels):
        raise DataError(f"{source}: {len(images)} images but {len(labels)} labels")
    images = with_channels(images, config.channels)
    if config.image_size is not None:
        images = resize_all(images, config.image_size)
    check_size(source, images.shape[1:])
    check_square(source, images.shape[1:])
    if config.fit == "resize":
        images = resize_all(images, network_size(images.shape[1]))
    return Dataset(np.ascontiguousarray(images), labels, names)


def _find(source: str, config: TrainConfig) -> Found:
    if source == "shapes":
        return draw_shapes(config.image_size or 16, config.seed)
    if source.startswith("hf:"):
        return read_hugging_face(source.removeprefix("hf:"), config)
    path = Path(source).expanduser()
    if not source or not path.exists():
        missing = f"{path} does not exist" if source else "no data given"
        raise DataError(f"{missing}: --data takes {KINDS}")
    if path.suffix == ".npz":
        return read_npz(path)
    if not path.is_dir():
        raise DataError(f"{path} is a file of another kind: --data takes {KINDS}")
    if any("idx3-ubyte" in file.name for file in path.iterdir()):
        return read_idx(path)
    return read_folder(path, config)


def _checked_labels(
    found: Found, source: str, every_class: bool
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Labels as indices int64 [N] into the class names; with `every_class` each of them has an image."""
    labels = found.labels
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.size == 0:
        raise DataError(f"{source}: labels are {labels.dtype} {labels.shape}, not whole numbers [N]")
    if found.class_names is None:  # the labels themselves are the names
        values, indices = np.unique(labels, return_inverse=True)
        return indices.astype(np.int64), tuple(str(value) for value in values)
    names = tuple(found.class_names)
    if not 0 <= labels.min() <= labels.max() < len(names):
        raise DataError(
            f"{source}: labels go from {labels.min()} to {labels.max()}, but there are {len(names)} class "
            f"names: 0 to {len(names) - 1} are allowed"
        )
    counts = np.bincount(labels, minlength=len(names))
    if every_class and not counts.all():
        raise DataError(
            f"{source}: class {names[int(counts.argmin())]!r} is empty: it has no image; leave its name out"
        )
    return labels.astype(np.int64), names


def _checked_images(images: npt.NDArray[Any], source: str) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W, C]."""
    if images.dtype != np.uint8:
        raise DataError(f"{source}: images are {images.dtype}, not uint8 (0..255)")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise DataError(f"{source}: images are {images.shape}, not [N, H, W] or [N, H, W, 1 or 3]")
    return images


def with_data_name(config: TrainConfig) -> TrainConfig:
    """The options with the data's name filled in where it was not given; the drawn shapes have a licence."""
    if config.data == "shapes":
        return replace(config, data_name="shapes", data_licence="drawn by mintage, no rights reserved")
    return replace(config, data_name=config.data_name or Path(config.data.removeprefix("hf:")).stem)
