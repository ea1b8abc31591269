"""A generator, ready to make images: an artifact, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.engines import Engine, Wanted, choose_engine
from generator.latents import latents
from generator.pixels import Pixels
from generator.spec import GeneratorSpec, Label

BATCH = 64  # images an engine call: more gains nothing on a CPU


class Generator:
    """Images by class and seed.

    >>> fashion = Generator.open("models/fashion")
    >>> fashion.images(labels=["Sneaker"], seeds=[7]).shape
    (1, 28, 28, 1)
    """

    def __init__(self, artifact: Artifact, engine: Engine) -> None:
        self.artifact = artifact
        self.engine = engine

    @classmethod
    def open(cls, path: str | Path, threads: int | None = None, *, wanted: Wanted | None = None) -> Generator:
        """Opens an artifact and starts an engine: the best, on all cores, unless told otherwise.

        `threads` is short for `wanted=Wanted(threads=...)`. Raises ArtifactError, EngineError.
        """
        artifact = Artifact.open(path)
        return cls(artifact, choose_engine(artifact, wanted or Wanted(threads=threads)).engine)

    @property
    def spec(self) -> GeneratorSpec:
        return self.artifact.spec

    def images(
        self, labels: Sequence[Label], seeds: Sequence[int], truncation: float | None = None
    ) -> Pixels:
        """One image for each label and seed, uint8 [N, H, W, C].

        Raises UnknownLabel; ValueError for a seed or truncation out of range, or lists of two lengths.
        """
        if not len(labels):
            size, channels = self.spec.image_size, self.spec.channels
            return np.empty((0, size, size, channels), np.uint8)
        return np.concatenate(list(self.stream(labels, seeds, truncation)))

    def stream(
        self, labels: Sequence[Label], seeds: Sequence[int], truncation: float | None = None
    ) -> Iterator[Pixels]:
        """As `images`, in batches, for more images than memory holds."""
        if len(labels) != len(seeds):
            raise ValueError(f"{len(labels)} labels for {len(seeds)} seeds: one each is needed")
        for start in range(0, len(seeds), BATCH):
            rows = slice(start, start + BATCH)
            latent = latents(seeds[rows], self.spec.latent_dim, truncation, self.spec.noise)
            yield self.engine.generate(latent, self.spec.class_vectors(labels[rows]))

    def images_from(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """Images of latents [N, latent_dim] and class vectors [N, num_classes], uint8 [N, H, W, C]."""
        batches = range(0, len(latent), BATCH)
        return np.concatenate(
            [
                self.engine.generate(latent[start : start + BATCH], class_vector[start : start + BATCH])
                for start in batches
            ]
        )
