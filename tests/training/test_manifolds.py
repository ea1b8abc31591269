from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from training.evaluation import manifolds
from training.evaluation.manifolds import Manifolds, compare_manifolds


def drawn(count: int, seed: int) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def by_the_definition(real: Tensor, generated: Tensor, k: int) -> Manifolds:
    """Kynkäänniemi et al. 2019, eq. 1 and 2; Naeem et al. 2020, eq. 3 and 4; one pair at a time."""

    def distance(x: Tensor, y: Tensor) -> float:
        return float((x - y).double().norm())

    def radii(points: Tensor) -> list[float]:
        return [
            sorted(distance(x, y) for j, y in enumerate(points) if j != i)[k - 1]
            for i, x in enumerate(points)
        ]

    real_radii, generated_radii = radii(real), radii(generated)
    inside = np.array(
        [[distance(x, y) <= r for x, r in zip(real, real_radii, strict=True)] for y in generated]
    )  # [M, N]
    recalled = [
        any(distance(x, y) <= r for y, r in zip(generated, generated_radii, strict=True)) for x in real
    ]
    return Manifolds(
        float(inside.any(1).mean()), float(np.mean(recalled)), inside.sum() / (k * len(generated)),
        float(inside.any(0).mean()),
    )  # fmt: skip


@pytest.mark.parametrize(("scale", "missing"), [(1.5, "precision"), (0.3, "recall")])
def test_all_four_are_their_definitions(monkeypatch: pytest.MonkeyPatch, scale: float, missing: str) -> None:
    monkeypatch.setattr(manifolds, "BLOCK", 7)  # so that blocks meet
    real, generated = drawn(25, 0), drawn(18, 1) * scale + 0.6
    found = compare_manifolds(real, generated, neighbours=3)
    assert found == pytest.approx(by_the_definition(real, generated, 3), rel=1e-6)
    assert 0 < getattr(found, missing) < 1


def test_images_of_the_same_kind_have_all_of_them_high() -> None:
    found = compare_manifolds(drawn(2000, 2), drawn(2000, 3))
    assert min(found) > 0.9
    assert found.density == pytest.approx(1, abs=0.05)


def test_a_generator_that_makes_one_image_is_precise_and_recalls_nothing() -> None:
    real = drawn(500, 4)
    found = compare_manifolds(real, real[:1] * 0.1 + drawn(500, 5) * 1e-3)
    assert found.precision > 0.95
    assert found.recall < 0.02
    assert found.coverage < 0.2


def test_a_generator_of_something_else_has_none_of_them() -> None:
    assert compare_manifolds(drawn(300, 6), drawn(300, 7) + 100) == Manifolds(0, 0, 0, 0)


def test_an_outlier_deceives_precision_but_not_density() -> None:
    real = torch.cat([drawn(300, 8), torch.tensor([[40.0, 40.0]])])
    beside_it = drawn(300, 9) + 20
    found = compare_manifolds(real, beside_it)
    assert found.precision > 0.95  # all are in the one large ball of the outlier
    assert found.density < 0.25
    assert found.coverage < 0.05
