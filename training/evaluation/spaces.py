"""Spaces of features in which images are compared: the judge's, EfficientNet's, Inception's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generator.pixels import Pixels
from training.data import Dataset
from training.evaluation.classifier import Classifier
from training.evaluation.efficientnet import SIZE, EfficientNetFeatures
from training.evaluation.inception import Inception
from training.evaluation.judge import UNREADABLE
from training.evaluation.real import data_digest

JUDGE, EFFICIENTNET, INCEPTION = "judge", "efficientnet", "inception"
BATCH = 32


@dataclass(frozen=True)
class Space:
    """Images as vectors: uint8 [N, H, W, C] -> float32 [N, D]."""

    name: str
    title: str
    features: Callable[[Pixels], Tensor]
    kept_as: str | None = None  # slow networks: features of real images are kept under this name


def judge_space(judge: Classifier) -> Space:
    return Space(JUDGE, "the judge's features", judge.features)


def efficientnet_space() -> Space:
    kept_as = f"efficientnet-lite0-{SIZE}"
    return Space(EFFICIENTNET, "EfficientNet features", _in_batches(EfficientNetFeatures()), kept_as)


def inception_space(network: Inception) -> Space:
    return Space(INCEPTION, "Inception features", _in_batches(network))


def inception_shares(network: Inception, images: Pixels) -> Tensor:
    return _in_batches(network.shares)(images)


def _in_batches(network: Callable[[Tensor], Tensor]) -> Callable[[Pixels], Tensor]:
    """A network of uint8 [N, C, H, W] as a function of images [N, H, W, C]."""

    @torch.no_grad()
    def run(images: Pixels) -> Tensor:
        batches = np.array_split(images, -(-len(images) // BATCH))
        return torch.cat([network(torch.from_numpy(batch).permute(0, 3, 1, 2)) for batch in batches])

    return run


def real_features(space: Space, dataset: Dataset, kept_in: Path) -> Tensor:
    """Features of real images; those of a slow network are kept in a folder and found there again.

    A file that is damaged is made anew.
    """
    if space.kept_as is None:
        return space.features(dataset.images)
    key = hashlib.sha256(f"{space.kept_as} {data_digest(dataset)}".encode()).hexdigest()
    file = kept_in / f"{key[:32]}.features.pt"
    with suppress(*UNREADABLE):
        kept: Tensor = torch.load(file, map_location="cpu", weights_only=True)
        return kept
    features = space.features(dataset.images)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    torch.save(features, unfinished)
    os.replace(unfinished, file)
    return features
