"""Images by the thousand onto disk: a folder of PNGs, an .npz, or a .tar of PNGs; whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from generator.pixels import Pixels, to_pillow
from generator.spec import GeneratorSpec


class Writer(Protocol):
    def add(self, label: int, seed: int, image: Pixels) -> None:
        """Adds one image, uint8 [H, W, C], made for a class index and a seed."""


@contextmanager
def open_writer(path: Path, spec: GeneratorSpec) -> Iterator[Writer]:
    """A writer for what the name says: X.npz, X.tar, or a folder with one folder per class.

    Everything is written beside its place and moved there when the block ends without an error.
    Raises ValueError for a name that is taken.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} is already there: remove it or give another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    unfinished = scratch / path.name
    try:
        if path.suffix == ".npz":
            arrays = _Arrays(spec)
            yield arrays
            arrays.save(unfinished)
        elif path.suffix == ".tar":
            with tarfile.open(unfinished, "w") as tar:
                yield _Tar(tar, spec)
        else:
            unfinished.mkdir()
            yield _Folder(unfinished, spec)
        if path.is_dir():
            path.rmdir()
        os.rename(unfinished, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def png(image: Pixels) -> bytes:
    """uint8 [H, W, C] -> a PNG file."""
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, "PNG")
    return buffer.getvalue()


class _Folder:
    """SLUG/SEED.png, the layout that `python -m training --data` reads."""

    def __init__(self, path: Path, spec: GeneratorSpec) -> None:
        self._folders = [path / slug for slug in spec.slugs]

    def add(self, label: int, seed: int, image: Pixels) -> None:
        self._folders[label].mkdir(exist_ok=True)
        (self._folders[label] / f"{seed}.png").write_bytes(png(image))


class _Tar:
    """The same names in a tar file, byte for byte the same for the same images."""

    def __init__(self, tar: tarfile.TarFile, spec: GeneratorSpec) -> None:
        self._tar, self._slugs = tar, spec.slugs

    def add(self, label: int, seed: int, image: Pixels) -> None:
        content = png(image)
        member = tarfile.TarInfo(f"{self._slugs[label]}/{seed}.png")
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))


class _Arrays:
    """images uint8 [N, H, W, C], labels int64 [N], seeds int64 [N], class_names."""

    def __init__(self, spec: GeneratorSpec) -> None:
        self._class_names = spec.class_names
        self._images: list[Pixels] = []
        self._labels: list[int] = []
        self._seeds: list[int] = []

    def add(self, label: int, seed: int, image: Pixels) -> None:
        self._images.append(image)
        self._labels.append(label)
        self._seeds.append(seed)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            images=np.stack(self._images),
            labels=np.array(self._labels, np.int64),
            seeds=np.array(self._seeds, np.int64),
            class_names=np.array(self._class_names),
        )
