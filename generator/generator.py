"""A generator, ready to make images: an artifact, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.engines import Engine, Wanted, choose_engine
from generator.latents import MAX_SEED, Latents, latents
from generator.paths import Easing, LatentPath, neighbours
from generator.pixels import Pixels
from generator.spec import GeneratorSpec, Label
from generator.turning import Method

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
        self,
        labels: Sequence[Label],
        seeds: Sequence[int],
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Pixels:
        """One image for each label and seed, uint8 [N, H, W, C].

        `directions` are coefficients of the artifact's main directions, within +-10: each latent is moved by
        the sum of coefficient x unit direction. Raises UnknownLabel; ValueError for a seed, truncation or
        direction out of range, or lists of two lengths.
        """
        if not len(labels):
            size, channels = self.spec.image_size, self.spec.channels
            return np.empty((0, size, size, channels), np.uint8)
        return np.concatenate(list(self.stream(labels, seeds, truncation, directions)))

    def stream(
        self,
        labels: Sequence[Label],
        seeds: Sequence[int],
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Iterator[Pixels]:
        """As `images`, in batches, for more images than memory holds."""
        if len(labels) != len(seeds):
            raise ValueError(f"{len(labels)} labels for {len(seeds)} seeds: one each is needed")
        for start in range(0, len(seeds), BATCH):
            rows = slice(start, start + BATCH)
            latent = self.latents(seeds[rows], truncation, directions)
            yield self.engine.generate(latent, self.spec.class_vectors(labels[rows]))

    def latents(
        self,
        seeds: Sequence[int],
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Latents:
        """What the images of seeds are made of, float32 [N, latent_dim]; as in `images`."""
        return self._moved(latents(seeds, self.spec.latent_dim, truncation, self.spec.noise), directions)

    def _moved(self, latent: Latents, directions: Mapping[int, float] | None) -> Latents:
        if not directions:
            return latent
        if self.artifact.directions is None:
            raise ValueError(
                f"{self.artifact.path} has no directions: `python -m export complete` adds them to it"
            )
        return self.artifact.directions.moved(latent, directions)

    def interpolate(
        self,
        labels: Sequence[Label],
        seeds: Sequence[int],
        frames: int = 60,
        method: Method = "slerp",
        loop: bool = False,
        easing: Easing = "linear",
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Pixels:
        """Frames of a way from keyframe to keyframe, each a label and a seed; uint8 [frames, H, W, C].

        For more frames than memory holds, for mixtures, and to know which frames the keyframes are: a
        `LatentPath` and `frames_of`. Raises what `images` and LatentPath raise.
        """
        vectors = self.spec.class_vectors(labels)
        path = LatentPath(self.latents(seeds, truncation, directions), vectors, frames, method, loop, easing)
        return np.concatenate(list(self.frames_of(path)))

    def frames_of(self, path: LatentPath) -> Iterator[Pixels]:
        """The frames of a way through latent space, in batches."""
        for start in range(0, path.frames, BATCH):
            yield self.engine.generate(*path.part(start, start + BATCH))

    def variations(
        self,
        label: Label,
        seed: int,
        strength: float = 0.2,
        n: int = 8,
        variation_seed: int = 0,
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Pixels:
        """Neighbours of one image, uint8 [n, H, W, C]: itself at strength 0, unrelated ones at 1.

        Each is the latent turned towards that of a seed from `variation_seed` on, its norm kept. Raises what
        `images` raises.
        """
        others = [(variation_seed + place) & MAX_SEED for place in range(n)]
        near = neighbours(self.latents([seed], truncation)[0], self.latents(others, truncation), strength)
        return self.images_from(self._moved(near, directions), self.spec.class_vectors([label] * n))

    def grid(
        self,
        labels: Sequence[Label],
        seeds: Sequence[int],
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
    ) -> Pixels:
        """Each class with each seed, uint8 [labels, seeds, H, W, C]. Raises what `images` raises."""
        each = [label for label in labels for _ in seeds]
        images = self.images(each, list(seeds) * len(labels), truncation, directions)
        return images.reshape(len(labels), len(seeds), *images.shape[1:])

    def images_from(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """Images of latents [N, latent_dim] and class vectors [N, num_classes], uint8 [N, H, W, C]."""
        batches = range(0, len(latent), BATCH)
        return np.concatenate(
            [
                self.engine.generate(latent[start : start + BATCH], class_vector[start : start + BATCH])
                for start in batches
            ]
        )
