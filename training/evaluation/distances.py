"""Distances between two sets of feature vectors: Fréchet's and the kernel's."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1000  # rows of a matrix of pairs that are held at a time


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2) of features [N, D] (Heusel et al. 2017).

    Of so few vectors that N is not well above D it is too large, the more so the fewer they are: compare it
    with that of two sets of real images of the same N, or take the kernel distance.
    """
    mean_1, factor_1 = _moments(first)
    mean_2, factor_2 = _moments(second)
    # With C = F^T F the trace of that root is the sum of the singular values of F1 F2^T.
    cross = torch.linalg.svdvals(factor_1 @ factor_2.T).sum()
    spread = factor_1.square().sum() + factor_2.square().sum()  # tr C1 + tr C2
    return max(0.0, float((mean_1 - mean_2).square().sum() + spread - 2 * cross))


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] of features [N, D], and a factor F of their covariance F^T F, at most D rows of D, float64."""
    features = features.double()
    mean = features.mean(0)
    factor = (features - mean) / (len(features) - 1) ** 0.5
    if len(factor) > factor.shape[1]:
        factor = torch.linalg.qr(factor, mode="r").R
    return mean, factor


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """The squared MMD with the kernel (x . y / D + 1)^3 of features [N, D], unbiased: near 0, below it at
    times, where both are of one kind, however few they are (Binkowski et al. 2018, KID)."""

    def mean_of_pairs(some: Tensor, others: Tensor, same: bool) -> float:
        total = 0.0
        for start in range(0, len(some), BLOCK):
            rows = some[start : start + BLOCK]
            total += float(_kernel(rows @ others.T, some.shape[1]).sum())
        if same:  # a vector with itself is no pair
            total -= float(_kernel(some.square().sum(1), some.shape[1]).sum())
        return total / (len(some) * (len(others) - same))

    first, second = first.double(), second.double()
    return (
        mean_of_pairs(first, first, True)
        + mean_of_pairs(second, second, True)
        - 2 * mean_of_pairs(first, second, False)
    )


def _kernel(products: Tensor, dimensions: int) -> Tensor:
    kernel: Tensor = (products / dimensions + 1) ** 3
    return kernel
