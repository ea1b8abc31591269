"""A generator, ready to make images: an artifact, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.encoder import Encoder
from generator.engines import Engine, Wanted, choose_engine
from generator.latents import MAX_SEED, Latents, latents
from generator.paths import Easing, LatentPath, neighbours
from generator.pixels import Pixels
from generator.refining import STEPS, Refined, Search
from generator.refining import refine as refine_latent
from generator.spec import GeneratorSpec, Label
from generator.turning import Method

BATCH = 64  # images an engine call: more gains nothing on a CPU


class Inversion(NamedTuple):
    """What images can be made of."""

    latent: Latents  # [N, latent_dim]
    labels: npt.NDArray[np.intp]  # [N], indices of classes
    probabilities: npt.NDArray[np.float32]  # [N, num_classes], as the encoder sees them
    images: Pixels  # [N, H, W, C], the reconstructions
    errors: npt.NDArray[np.float64]  # [N], each one's root mean square of pixels, of 255


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

    @cached_property
    def encoder(self) -> Encoder:
        """The artifact's. Raises EngineError where it has none."""
        return Encoder(self.artifact)

    def invert(self, images: Pixels, refine: int = STEPS, labels: Sequence[Label] | None = None) -> Inversion:
        """The latents and classes that reproduce images, uint8 [N, H, W, C] of the generator's own size.

        `refine` steps bring each reconstruction closer than the encoder alone; `labels` settle the classes,
        which the encoder finds without. `generator.pixels.from_pillow` makes such images of any picture.
        Raises EngineError where the artifact has no encoder, UnknownLabel, ValueError for images of another
        shape.
        """
        size, channels = self.spec.image_size, self.spec.channels
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, channels):
            raise ValueError(
                f"images are {images.dtype} {images.shape}: allowed are uint8 [N, {size}, {size}, {channels}]"
            )
        found = self.encoder.encode(images)
        vectors = self.spec.one_hot[found.probabilities.argmax(1)]
        if labels is not None:
            vectors = self.spec.class_vectors(labels)
        refined = [
            self._run(refine_latent(image, latent, refine, self.spec.noise), vector)
            for image, latent, vector in zip(images, found.latent, vectors, strict=True)
        ]
        return Inversion(
            latent=np.array([one.latent for one in refined], np.float32).reshape(found.latent.shape),
            labels=vectors.argmax(1),
            probabilities=found.probabilities,
            images=np.array([one.image for one in refined], np.uint8).reshape(images.shape),
            errors=np.array([one.error for one in refined]),
        )

    def _run(self, search: Search, class_vector: npt.NDArray[np.float32]) -> Refined:
        """Makes the images that a search wants, all of one class."""
        try:
            wanted = next(search)
            while True:
                wanted = search.send(self.images_from(wanted, np.tile(class_vector, (len(wanted), 1))))
        except StopIteration as end:
            found: Refined = end.value
            return found

    def images_from(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """Images of latents [N, latent_dim] and class vectors [N, num_classes], uint8 [N, H, W, C]."""
        batches = range(0, len(latent), BATCH)
        return np.concatenate(
            [
                self.engine.generate(latent[start : start + BATCH], class_vector[start : start + BATCH])
                for start in batches
            ]
        )
