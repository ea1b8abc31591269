"""Does a generator copy what it was trained on? The nearest training images of generated ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from generator.pixels import Pixels
from training.data import Dataset
from training.evaluation.spaces import Space

PIXELS = "pixels"

MOST = 1000  # images whose neighbours are looked for
NEIGHBOURS = 4  # of each, for the picture
NEAR = 0.01  # share of held-out images that counts as near
BLOCK = 1000  # training images that are compared at a time


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of some images, [N, k] each, the nearest first."""

    distances: Tensor
    rows: Tensor

    @property
    def nearest(self) -> Tensor:
        return self.distances[:, 0]


def pixel_vectors(images: Pixels) -> Tensor:
    """[N, H, W, C] -> [N, H W C] in 0..1."""
    return torch.from_numpy(images.reshape(len(images), -1)).float() / 255


def pixel_blocks(images: Pixels) -> Iterator[Tensor]:
    """The pixel vectors of many images, some at a time."""
    for start in range(0, len(images), BLOCK):
        yield pixel_vectors(images[start : start + BLOCK])


def find_neighbours(queries: Tensor, training: Iterable[Tensor], count: int = NEIGHBOURS) -> Neighbours:
    """The nearest to each of [N, D] among the training images' vectors, which come in blocks [B, D]."""
    distances = torch.empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64)
    start = 0
    for block in training:
        distances = torch.cat([distances, torch.cdist(queries, block)], dim=1)
        new_rows = torch.arange(start, start + len(block)).expand(len(queries), -1)
        rows = torch.cat([rows, new_rows], dim=1)
        distances, order = distances.topk(min(count, distances.shape[1]), dim=1, largest=False)
        rows = rows.gather(1, order)
        start += len(block)
    return Neighbours(distances, rows)


def share_that_is_near(generated: Neighbours, held_out: Neighbours) -> float:
    """Share of generated images nearer to a training image than all but 1 % of held-out real ones are.

    About 1 % of a generator that does not copy; far more of one that does.
    """
    bound = torch.quantile(held_out.nearest, NEAR)
    return float((generated.nearest < bound).float().mean())


def rows_to_show(
    generated: Neighbours, labels: npt.NDArray[np.int64], classes: list[int], nearest: int
) -> list[int]:
    """The first image of each of some classes, then those that are nearest to a training image."""
    first = [int(np.flatnonzero(labels == label)[0]) for label in classes if (labels == label).any()]
    by_distance = generated.nearest.argsort().tolist()
    return first + [row for row in by_distance if row not in first][:nearest]


class CopyCheck:
    """The training images, as pixels and as features, and how near held-out real images are to them."""

    def __init__(self, training: Dataset, held_out: Dataset, space: Space) -> None:
        self.training, self.space = training, space
        self._blocks = torch.split(space.features(training.images), BLOCK)
        self._held_out = self.neighbours(held_out.images)

    def neighbours(self, images: Pixels) -> dict[str, Neighbours]:
        """By pixels, and in the space of features."""
        images = images[:MOST]
        in_pixels = find_neighbours(pixel_vectors(images), pixel_blocks(self.training.images))
        in_space = find_neighbours(self.space.features(images), self._blocks)
        return {PIXELS: in_pixels, self.space.name: in_space}

    def near_shares(self, images: Pixels) -> dict[str, float]:
        return {
            name: share_that_is_near(found, self._held_out[name])
            for name, found in self.neighbours(images).items()
        }
