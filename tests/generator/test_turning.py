"""Ways from one latent to another: where they lead, and how evenly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from generator.latents import latents
from generator.turning import lerp, nlerp, slerp


def test_slerp_turns_evenly_and_interpolates_the_norm() -> None:
    a, b = latents([1, 2], 32)
    b = b * 2
    points = [slerp(a, b, w) for w in np.linspace(0, 1, 9)]
    norms = [float(np.linalg.norm(p)) for p in points]
    np.testing.assert_allclose(norms, np.linspace(norms[0], norms[-1], 9), rtol=1e-6)
    angles = [
        np.arccos(np.clip(p @ q / np.linalg.norm(p) / np.linalg.norm(q), -1, 1)) for p, q in pairwise(points)
    ]
    np.testing.assert_allclose(angles, np.mean(angles), rtol=1e-3)


@pytest.mark.parametrize("path", [lerp, slerp, nlerp])
def test_paths_end_exactly_at_their_ends(path) -> None:  # type: ignore[no-untyped-def]
    a, b = latents([1, 2], 32)
    np.testing.assert_array_equal(path(a, b, 0.0), a)
    np.testing.assert_array_equal(path(a, b, 1.0), b)


def test_slerp_between_equal_latents_stays_there() -> None:
    (a,) = latents([4], 16)
    np.testing.assert_allclose(slerp(a, a.copy(), 0.3), a, rtol=1e-6)


def test_slerp_between_opposite_latents_turns_by_half_a_circle() -> None:
    (a,) = latents([4], 16)
    middle = slerp(a, -a, 0.5)
    assert abs(float(middle @ a)) < 1e-4
    np.testing.assert_allclose(np.linalg.norm(middle), np.linalg.norm(a), rtol=1e-6)
    np.testing.assert_allclose(slerp(a, -a, 0.9999), -a, atol=0.01)


def test_slerp_from_and_to_zero_goes_straight() -> None:
    (a,) = latents([4], 16)
    zero = np.zeros_like(a)
    np.testing.assert_allclose(slerp(zero, a, 0.25), a / 4, rtol=1e-6)
    np.testing.assert_allclose(slerp(a, zero, 0.25), a * 0.75, rtol=1e-6)
    np.testing.assert_array_equal(slerp(zero, zero, 0.5), zero)


def test_several_weights_give_the_points_of_each() -> None:
    a, b = latents([1, 2], 32)
    weights = np.array([0, 0.3, 1, 0.9])
    for way in (lerp, slerp, nlerp):
        together = way(a, b, weights)
        np.testing.assert_array_equal(together, [way(a, b, weight) for weight in weights])
        assert together.dtype == np.float32


def test_nlerp_keeps_to_the_arc_and_the_norm_that_slerp_has() -> None:
    a, b = latents([1, 2], 32)
    middle = nlerp(a, b * 3, 0.5)
    norms = [float(np.linalg.norm(point)) for point in (a, b * 3)]
    np.testing.assert_allclose(np.linalg.norm(middle), np.mean(norms), rtol=1e-6)
    direction = (a + b * 3) / np.linalg.norm(a + b * 3)
    np.testing.assert_allclose(middle / np.linalg.norm(middle), direction, atol=1e-6)
    np.testing.assert_allclose(nlerp(a, -a, 0.5), slerp(a, -a, 0.5), atol=1e-6)
    assert float(np.linalg.norm(lerp(a, -a, 0.5))) == 0
