from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from training.evaluation.distances import frechet_distance, kernel_distance
from training.evaluation.diversity import class_diversity, same_class_distances


def drawn(count: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * scale


def with_moments(mean: list[float], deviations: list[float]) -> Tensor:
    """Vectors whose sample mean and (diagonal) sample covariance are exactly these."""
    features = drawn(200, 0).double()
    centred = features - features.mean(0)
    whitened = centred @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(centred.T)).T)
    scaled: Tensor = whitened * torch.tensor(deviations) + torch.tensor(mean)
    return scaled


def test_the_frechet_distance_of_gaussians_along_axes_is_the_textbook_one() -> None:
    first, second = with_moments([0, 0, 0], [1, 2, 3]), with_moments([1, 0, -2], [2, 2, 1])
    expected = (1 + 4) + (1 - 2) ** 2 + 0 + (3 - 1) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-5)


def test_the_frechet_distance_is_the_definition_with_a_matrix_root() -> None:
    first = drawn(80, 1) @ torch.tensor([[1.0, 0.5, 0], [0, 2, 0.3], [0.2, 0, 1]])
    second = drawn(90, 2) + 0.5
    moments = [(f.double().mean(0).numpy(), np.cov(f.double().numpy().T)) for f in (first, second)]
    (mean_1, covariance_1), (mean_2, covariance_2) = moments
    cross = np.trace(sqrtm(covariance_1 @ covariance_2).real)
    expected = ((mean_1 - mean_2) ** 2).sum() + np.trace(covariance_1 + covariance_2) - 2 * cross
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_fewer_vectors_than_dimensions_have_a_frechet_distance() -> None:
    features = torch.randn(10, 40, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(features, features + 1) == pytest.approx(40, rel=1e-4)


def test_the_kernel_distance_is_its_definition_over_pairs() -> None:
    first, second = drawn(7, 3), drawn(5, 4, 2.0)

    def kernel(x: Tensor, y: Tensor) -> float:
        return float((x.double() @ y.double() / 3 + 1) ** 3)

    of_first = np.mean([kernel(x, y) for i, x in enumerate(first) for j, y in enumerate(first) if i != j])
    of_second = np.mean([kernel(x, y) for i, x in enumerate(second) for j, y in enumerate(second) if i != j])
    across = np.mean([kernel(x, y) for x in first for y in second])
    assert kernel_distance(first, second) == pytest.approx(of_first + of_second - 2 * across, rel=1e-9)


def test_the_kernel_distance_of_few_is_right_on_average_where_frechets_is_too_large() -> None:
    pairs = [(drawn(12, 2 * seed), drawn(12, 2 * seed + 1)) for seed in range(300)]
    assert abs(np.mean([kernel_distance(*pair) for pair in pairs])) < 0.1
    assert np.mean([frechet_distance(*pair) for pair in pairs]) > 0.5


def test_diversity_is_the_mean_distance_of_pairs_within_a_class() -> None:
    features, labels = drawn(9, 5), torch.tensor([0, 1, 0, 0, 1, 0, 3, 1, 0])
    found = class_diversity(features, labels, 4)
    rows = features[labels == 1]
    pairs = [float((rows[i] - rows[j]).norm()) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found[1] == pytest.approx(np.mean(pairs), rel=1e-5)
    assert class_diversity(features / 2, labels, 4)[0] == pytest.approx(found[0] / 2, rel=1e-5)
    assert np.isnan(found[2])
    assert np.isnan(found[3])  # one image is no pair


def test_batches_of_the_same_labels_are_compared_over_the_same_pairs() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    images = 3 * torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    pairs = [(0, 1), (2, 3), (2, 4), (3, 4)]
    expected = 2 * sum(float((images[i] - images[j]).norm()) for i, j in pairs)
    assert float(same_class_distances(images, labels)) == pytest.approx(expected, rel=1e-5)
    assert float(same_class_distances(images[:1].expand(6, -1, -1, -1), labels)) == pytest.approx(0, abs=1e-3)
    alone = torch.arange(40)
    assert float(same_class_distances(torch.randn(40, 1, 4, 4) * 100, alone)) == 0
