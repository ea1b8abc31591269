"""Diversity within a class: how far its images are from each other."""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 2000  # vectors of one class: beyond, the mean over all pairs stands still


def mean_pairwise_distance(features: Tensor) -> float:
    """Mean Euclidean distance over all pairs of two different rows of [N, D]; NaN for fewer than two."""
    features = features[:MOST]
    if len(features) < 2:
        return float("nan")
    return float(torch.pdist(features).mean())


def class_diversity(features: Tensor, labels: Tensor, num_classes: int) -> list[float]:
    """Mean pairwise distance of each class's features [N, D], labels int64 [N]; NaN where it has no pair."""
    return [mean_pairwise_distance(features[labels == label]) for label in range(num_classes)]
