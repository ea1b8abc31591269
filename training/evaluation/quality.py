"""What is measured of a set of images, and how it is written down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier is right."""

    accuracy: float
    per_class: dict[str, float | None]  # None: there was no image of the class
    images: int


@dataclass(frozen=True)
class Closeness:
    """How near images are to the real ones, in one space of features."""

    frechet_distance: float
    kernel_distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float  # mean over classes of their diversity
    diversity_per_class: dict[str, float | None]  # mean distance of two images, of that of two real ones


@dataclass(frozen=True)
class Quality:
    """All measures of one set of images. Real ones that were held out are measured too: they get what a
    perfect generator would."""

    samples: int  # N, and as many real images on the other side
    gan_test: Accuracy | None  # the judge, on these images: does it see the class that was asked for?
    gan_train: Accuracy | None  # a classifier that learned from such images alone, on held-out real ones
    closeness: dict[str, Closeness]  # by the space's name
    near_training: dict[str, float]  # share nearer to a training image than 99 % of held-out real ones
    inception_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = _rounded(asdict(self))
        return fields


def accuracy(
    right: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], class_names: Sequence[str]
) -> Accuracy:
    """Of answers bool [N] for images of classes int64 [N]."""
    per_class = {
        name: float(right[labels == index].mean()) if (labels == index).any() else None
        for index, name in enumerate(class_names)
    }
    return Accuracy(float(right.mean()), per_class, len(right))


def relative_diversity(
    generated: Sequence[float], real: Sequence[float], class_names: Sequence[str]
) -> tuple[float, dict[str, float | None]]:
    """(mean over classes, each class's): its images' mean distance, of that of the real ones."""
    shares = [g / r if r > 0 else math.nan for g, r in zip(generated, real, strict=True)]
    per_class = {
        name: None if math.isnan(share) else share for name, share in zip(class_names, shares, strict=True)
    }
    known = [share for share in shares if not math.isnan(share)]
    return (sum(known) / len(known) if known else math.nan), per_class


def _rounded(value: Any) -> Any:
    """Numbers to five significant digits; what is not finite, and JSON does not have, as None."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
