"""What the batcher takes: images to make, and the graph's inputs for several of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from generator.latents import latents
from generator.spec import GeneratorSpec

# A class's index, a class vector float32 [num_classes], or one for each image [count, num_classes].
Classes = int | npt.NDArray[np.float32]


class WorkItem(Struct, frozen=True, eq=False):
    """Images to make. Whoever builds one has checked it: nothing in it can fail an engine call."""

    classes: Classes
    seeds: tuple[int, ...] = ()  # one for each image; empty where latents are given
    latent: npt.NDArray[np.float32] | None = None  # [count, latent_dim]; where it is, it goes before seeds
    truncation: float | tuple[float, ...] | None = None  # of all images, or one for each; None is off
    directions: Mapping[int, float] | None = None  # along which the latents of the seeds have been moved

    @property
    def count(self) -> int:
        """Images, at least 1."""
        return len(self.seeds) if self.latent is None else len(self.latent)

    def rows(self, start: int, stop: int) -> WorkItem:
        """The item of the images from `start` to before `stop`."""
        part: dict[str, Any] = {}
        if not isinstance(self.classes, int) and self.classes.ndim == 2:
            part["classes"] = self.classes[start:stop]
        if isinstance(self.truncation, tuple):
            part["truncation"] = self.truncation[start:stop]
        if self.latent is not None:
            part["latent"] = self.latent[start:stop]
        return msgspec.structs.replace(self, seeds=self.seeds[start:stop], **part)

    def bounds(self) -> Sequence[float | None]:
        """The truncation of each image."""
        return self.truncation if isinstance(self.truncation, tuple) else [self.truncation] * self.count

    def class_vectors(self, spec: GeneratorSpec) -> npt.NDArray[np.float32]:
        """The class vector of each image, float32 [count, num_classes]."""
        vector = spec.one_hot[self.classes] if isinstance(self.classes, int) else self.classes
        return np.broadcast_to(vector, (self.count, spec.num_classes))


def latents_of(item: WorkItem, spec: GeneratorSpec) -> npt.NDArray[np.float32]:
    """What an item's images are made of, float32 [count, latent_dim]."""
    return batch_inputs([item], spec)[0]


def batch_inputs(
    items: Sequence[WorkItem], spec: GeneratorSpec
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The graph's inputs for several items together: latent [N, D], class_vector [N, K].

    All seeds of a batch become latents in one vectorised call.
    """
    seeded = [item for item in items if item.latent is None]
    seeds = [seed for item in seeded for seed in item.seeds]
    bounds: list[float | None] | None = None
    if any(item.truncation is not None for item in seeded):
        bounds = [bound for item in seeded for bound in item.bounds()]
    drawn = latents(seeds, spec.latent_dim, bounds, spec.noise) if seeds else None
    class_vector = _class_vectors(items, spec)
    if drawn is not None and len(seeded) == len(items):
        return drawn, class_vector
    parts, used = [], 0
    for item in items:
        if item.latent is None and drawn is not None:
            parts.append(drawn[used : used + item.count])
            used += item.count
        elif item.latent is not None:
            parts.append(item.latent)
    return np.concatenate(parts), class_vector


def _class_vectors(items: Sequence[WorkItem], spec: GeneratorSpec) -> npt.NDArray[np.float32]:
    """The class vector of each image of several items, float32 [N, num_classes]."""
    alike = [(item.classes, item.count) for item in items if isinstance(item.classes, int)]
    if len(alike) == len(items):
        rows: npt.NDArray[np.float32] = spec.one_hot[[index for index, count in alike for _ in range(count)]]
        return rows
    return np.concatenate([item.class_vectors(spec) for item in items])
