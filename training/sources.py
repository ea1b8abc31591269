"""Where people keep labelled images: class folders, .npz, IDX files, Hugging Face data sets."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.config import TrainConfig
from training.pictures import DataError, Pixels, read_picture, stack, to_pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
IDX_IMAGES, IDX_LABELS = 0x00000803, 0x00000801  # LeCun's magic numbers: uint8 in 3 dimensions, in 1
IDX_TEST = "t10k"  # what the files of a test set begin with
NPZ_TEST = "test_"  # what the arrays of a test set begin with


class Found(NamedTuple):
    """What a source holds, not checked yet."""

    images: npt.NDArray[Any]  # [N, H, W] or [N, H, W, C]
    labels: npt.NDArray[Any]  # [N]
    class_names: list[str] | None  # None: the labels have no other names


def read_folder(path: Path, config: TrainConfig) -> Found:
    """One folder per class, its name the class's. Raises DataError."""
    folders = [entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != "."]
    folders.sort(key=_in_counting_order)
    if len(folders) < 2:
        raise DataError(
            f"{path} has {len(folders)} class folders: a conditional generator needs at least 2, each "
            "with the images of one class"
        )
    files: list[Path] = []
    labels: list[int] = []
    for index, folder in enumerate(folders):
        found = sorted(file for file in folder.iterdir() if _is_picture(file))
        if not found and any(_is_picture(file) for file in folder.rglob("*")):
            raise DataError(
                f"{folder} has its images in folders of its own: if it is a part of the data, such as a "
                f"training set, give --data {folder}"
            )
        if not found:
            raise DataError(
                f"class folder {folder} is empty: it needs {', '.join(SUFFIXES)} files; remove the folder "
                "if it is no class"
            )
        files += found
        labels += [index] * len(found)
    pictures = ((str(file), read_picture(file, config)) for file in files)
    return Found(stack(pictures), np.array(labels), [folder.name for folder in folders])


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.name[0] != "."


def _in_counting_order(folder: Path) -> list[tuple[int, str]]:
    """2 before 10, as people count."""
    parts = re.split(r"(\d+)", folder.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_npz(path: Path, prefix: str = "") -> Found:
    """The arrays images, labels and (if there) class_names; with `prefix`, of another set of images.

    Raises DataError.
    """
    images, labels = f"{prefix}images", f"{prefix}labels"
    try:
        with np.load(path, allow_pickle=False) as stored:
            kept = stored.files
            arrays = {key: stored[key] for key in (images, labels, "class_names") if key in kept}
    except (OSError, ValueError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}") from error
    if missing := sorted({images, labels} - arrays.keys()):
        raise DataError(f"{path} has no array {missing[0]!r}, only {', '.join(kept)}")
    names = [str(name) for name in arrays["class_names"]] if "class_names" in arrays else None
    return Found(arrays[images], arrays[labels], names)


def read_idx(path: Path, test: bool = False) -> Found:
    """MNIST's format, gzipped or not, without the files of a test set (t10k-...), or only those.

    Raises DataError.
    """
    arrays = []
    for kind, magic in (("idx3-ubyte", IDX_IMAGES), ("idx1-ubyte", IDX_LABELS)):
        files = [file for file in path.iterdir() if kind in file.name and (IDX_TEST in file.name) == test]
        if len(files) != 1:
            part = IDX_TEST if test else "train"
            example = f"{part}-{'images' if magic == IDX_IMAGES else 'labels'}-{kind}.gz"
            raise DataError(f"{path} has {len(files)} files *{kind}*: one is needed, such as {example}")
        arrays.append(_read_idx_file(files[0], magic))
    return Found(arrays[0], arrays[1], None)


def _read_idx_file(file: Path, magic: int) -> Pixels:
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    header = 4 * (1 + (magic & 0xFF))  # the last byte is the number of dimensions
    found, *shape = struct.unpack(f">{header // 4}I", content[:header].ljust(header, b"\0"))
    if found != magic or len(content) != header + math.prod(shape):
        raise DataError(
            f"{file} is not a whole IDX file: it begins with {found:#010x} (expected {magic:#010x}) and has "
            f"{len(content)} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_hugging_face(name: str, config: TrainConfig, split: str = "train") -> Found:
    """A split of a data set with one Image and one ClassLabel column. Raises DataError."""
    try:
        import datasets  # noqa: PLC0415, an extra
    except ImportError as error:
        raise DataError(f"hf:{name} needs the package datasets: pip install -e '.[huggingface]'") from error
    try:
        rows: Any = datasets.load_dataset(name, split=split)
    except Exception as error:
        raise DataError(f"hf:{name} cannot be loaded: {type(error).__name__}: {error}") from error
    columns = rows.features
    images = [key for key, kind in columns.items() if isinstance(kind, datasets.Image)]
    labels = [key for key, kind in columns.items() if isinstance(kind, datasets.ClassLabel)]
    if len(images) != 1 or len(labels) != 1:
        raise DataError(
            f"hf:{name} has the columns {', '.join(columns)}: one Image and one ClassLabel are needed"
        )
    pictures = (
        (f"image {number} of hf:{name}", to_pixels(image, config))
        for number, image in enumerate(rows[images[0]])
    )
    return Found(stack(pictures), np.array(rows[labels[0]]), columns[labels[0]].names)


def read_test_images(source: str, config: TrainConfig) -> Found | None:
    """The images that a source itself keeps for testing; None where it keeps none. Raises DataError."""
    if source.startswith("hf:"):
        return _hugging_face_test(source.removeprefix("hf:"), config)
    path = Path(source).expanduser()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            kept = NPZ_TEST + "images" in stored.files
        return read_npz(path, NPZ_TEST) if kept else None
    if path.is_dir() and any(IDX_TEST in file.name for file in path.iterdir()):
        return read_idx(path, test=True)
    return None


def _hugging_face_test(name: str, config: TrainConfig) -> Found | None:
    try:
        return read_hugging_face(name, config, "test")
    except DataError as error:
        if "Unknown split" in str(error):  # datasets' own words, a ValueError as many others are
            return None
        raise
