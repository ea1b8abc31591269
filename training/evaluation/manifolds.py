"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), of features.

Each real or generated vector has a ball that reaches its k-th nearest neighbour of its own kind. Together
the balls of a kind stand for where images of that kind are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEIGHBOURS = 5  # k, as in Naeem et al.
BLOCK = 1000  # rows of a matrix of distances that are held at a time


class Manifolds(NamedTuple):
    precision: float  # share of generated vectors in any real ball: are they good?
    recall: float  # share of real vectors in any generated ball: is there everything?
    density: float  # real balls around a generated vector, of k: precision less moved by outliers
    coverage: float  # share of real balls with a generated vector in them: recall less moved by outliers


def compare_manifolds(real: Tensor, generated: Tensor, neighbours: int = NEIGHBOURS) -> Manifolds:
    """Of features [N, D] and [M, D], each more than `neighbours`."""
    real_radii, generated_radii = ball_radii(real, neighbours), ball_radii(generated, neighbours)  # [N], [M]
    around = torch.zeros(len(generated))  # real balls around each generated vector
    recalled, covered = 0, 0
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        distances = torch.cdist(real[rows], generated)  # [B, M]
        in_real_ball = distances <= real_radii[rows, None]
        around += in_real_ball.sum(0)
        covered += int(in_real_ball.any(1).sum())
        recalled += int((distances <= generated_radii).any(1).sum())
    return Manifolds(
        precision=float((around > 0).float().mean()),
        recall=recalled / len(real),
        density=float(around.mean()) / neighbours,
        coverage=covered / len(real),
    )


def ball_radii(features: Tensor, neighbours: int) -> Tensor:
    """Each vector's distance to its k-th nearest other one, [N]."""
    radii = [
        torch.cdist(features[start : start + BLOCK], features).kthvalue(neighbours + 1, dim=1).values
        for start in range(0, len(features), BLOCK)
    ]
    return torch.cat(radii)
