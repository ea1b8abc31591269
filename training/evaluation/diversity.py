"""Diversity within a class: how far its images are from each other."""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 2000  # vectors of one class: beyond, the mean over all pairs stands still
MOST_IN_BATCH = 128


def mean_pairwise_distance(features: Tensor) -> float:
    """Mean Euclidean distance over all pairs of two different rows of [N, D]; NaN for fewer than two."""
    features = features[:MOST]
    if len(features) < 2:
        return float("nan")
    return float(torch.pdist(features).mean())


def class_diversity(features: Tensor, labels: Tensor, num_classes: int) -> list[float]:
    """Mean pairwise distance of each class's features [N, D], labels int64 [N]; NaN where it has no pair."""
    return [mean_pairwise_distance(features[labels == label]) for label in range(num_classes)]


@torch.no_grad()
def same_class_distances(images: Tensor, labels: Tensor) -> Tensor:
    """Sum of the Euclidean distances between images [N, ...] of the same label [N], a scalar.

    Two batches with the same labels have the same pairs, so the ratio of their sums is that of their means.
    """
    points = images[:MOST_IN_BATCH].flatten(1).float()
    labels = labels[:MOST_IN_BATCH]
    same = (labels[:, None] == labels).fill_diagonal_(False)  # an image with itself is no pair
    return (torch.cdist(points, points) * same).sum()
