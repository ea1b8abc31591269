"""The kinds of requests that a mix is made of: what is asked, how the answer is read, what it should be.

Each request has a label and a seed of its own; everything else follows from these two.
"""

from __future__ import annotations

import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property

import numpy as np

from benchmarks.load.requests import SEEDS
from benchmarks.questions import read_npy, read_png
from generator import Generator
from generator.latents import latents
from generator.pixels import Pixels
from generator.spec import GeneratorSpec

IMAGES = 16  # of a request for several
FRAMES = 8  # of an interpolation
POOL = 256  # latents that differ in more than their first component


class Kind(ABC):
    """One way of asking a route."""

    path = "/v1/images"
    accept = ""  # None but the service's default
    images = 1  # seeds a request uses up

    def __init__(self, spec: GeneratorSpec, model: str | None) -> None:
        """`model` is named in each request; None leaves it to the service."""
        self.spec = spec
        self._end = b',"model":"%s"}' % model.encode() if model else b"}"

    @abstractmethod
    def body(self, label: int, seed: int) -> bytes:
        """The JSON of a request."""

    def read(self, body: bytes) -> Pixels:
        """An answer's pixels, uint8 [N, H, W, C]. Raises OSError, ValueError for what is no image."""
        return read_png({}, body)

    def expected(self, generator: Generator, label: int, seed: int) -> Pixels:
        """What an answer should be, as far as it is known here; uint8 [N, H, W, C]."""
        seeds = [(seed + place) % SEEDS for place in range(self.images)]
        return generator.images([label] * self.images, seeds)


class LabelAndSeed(Kind):
    """One image as PNG by class and seed."""

    def body(self, label: int, seed: int) -> bytes:
        return b'{"label":%d,"seed":%d' % (label, seed) + self._end


class Latent(Kind):
    """One image as PNG by class and latent: the vectors of a pool, their first component by the seed."""

    def body(self, label: int, seed: int) -> bytes:
        rest = self._texts[seed % POOL]
        return b'{"label":%d,"latent":[%r%s]' % (label, self._first(seed), rest) + self._end

    def expected(self, generator: Generator, label: int, seed: int) -> Pixels:
        latent = self._pool[seed % POOL : seed % POOL + 1].copy()
        latent[0, 0] = self._first(seed)
        return generator.images_from(latent, self.spec.class_vectors([label]))

    @staticmethod
    def _first(seed: int) -> float:
        """In [-1, 1), another for each seed of the same place in the pool, and exact in float32."""
        return seed // POOL / (SEEDS // POOL // 2) - 1

    @cached_property
    def _pool(self) -> np.ndarray:
        return latents(range(POOL), self.spec.latent_dim, noise=self.spec.noise)

    @cached_property
    def _texts(self) -> list[bytes]:
        """The vectors without their first component, each number after a comma."""
        return ["".join(f",{number!r}" for number in row[1:].tolist()).encode() for row in self._pool]


class Array(Kind):
    """Several images as one NumPy array."""

    images = IMAGES
    form = b"npy"

    def body(self, label: int, seed: int) -> bytes:
        text = b'{"label":%d,"seed":%d,"n":%d,"format":"%s"'
        return text % (label, seed, self.images, self.form) + self._end

    def read(self, body: bytes) -> Pixels:
        return read_npy({}, body)


class Archive(Array):
    """Several images as a ZIP of PNGs."""

    form = b"zip"

    def read(self, body: bytes) -> Pixels:
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                names = sorted(name for name in archive.namelist() if name.endswith(".png"))
                return np.concatenate([read_png({}, archive.read(name)) for name in names])
        except zipfile.BadZipFile as error:
            raise ValueError(str(error)) from error


class Interpolation(Kind):
    """Frames of a way from one image to another, as one NumPy array."""

    path = "/v1/interpolations"
    accept = "application/x-npy"
    images = 2

    def body(self, label: int, seed: int) -> bytes:
        text = b'{"keyframes":[{"label":%d,"seed":%d},{"label":%d,"seed":%d}],"frames":%d'
        return text % (label, seed, label, (seed + 1) % SEEDS, FRAMES) + self._end

    def read(self, body: bytes) -> Pixels:
        return read_npy({}, body)

    def expected(self, generator: Generator, label: int, seed: int) -> Pixels:
        return generator.interpolate([label] * 2, [seed, (seed + 1) % SEEDS], FRAMES)


KINDS: dict[str, Callable[[GeneratorSpec, str | None], Kind]] = {
    "label": LabelAndSeed,
    "latent": Latent,
    "n": Array,
    "zip": Archive,
    "interpolation": Interpolation,
}
