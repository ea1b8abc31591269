"""A way through keyframes: they are on it, the pace is even, and a loop closes without a jump."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from generator.latents import latents
from generator.paths import LatentPath, neighbours
from generator.turning import METHODS, angle_between

Latents = npt.NDArray[np.float32]


def classes(*indices: int) -> Latents:
    return np.eye(3, dtype=np.float32)[list(indices)]


def random_path(seed: int, loop: bool = False, **options: Any) -> tuple[LatentPath, Latents, Latents]:
    """A path with its keyframes: two to seven of them, their norms and classes all different."""
    draw = np.random.default_rng(seed)
    count, dim = int(draw.integers(2, 8)), int(draw.integers(2, 65))
    drawn = latents(draw.integers(0, 2**32, count).tolist(), dim)
    latent = (drawn * draw.uniform(0.3, 2, (count, 1))).astype(np.float32)
    class_vector = draw.dirichlet([1, 1, 1], count).astype(np.float32)
    frames = int(draw.integers(8 * count, 300))
    return LatentPath(latent, class_vector, frames, loop=loop, **options), latent, class_vector


def ways(path: LatentPath, loop: bool) -> list[tuple[int, int]]:
    """The first and the last frame of each way between two keyframes."""
    ends = [*path.keyframes, path.frames] if loop else list(path.keyframes)
    return list(pairwise(ends))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("easing", ["linear", "ease-in-out"])
def test_a_hundred_random_paths_turn_monotonely_with_norms_between_those_of_the_ends(
    easing: str, loop: bool
) -> None:
    for seed in range(100):
        path, latent, class_vector = random_path(seed, loop, easing=easing)
        found, mixed = path.part(0, path.frames)
        if loop:
            found, mixed = np.concatenate([found, latent[:1]]), np.concatenate([mixed, class_vector[:1]])
        for first, last in ways(path, loop):
            rows = found[first : last + 1]
            angles = np.array([angle_between(rows[0], row) for row in rows])
            assert (np.diff(angles) > -1e-6).all()
            np.testing.assert_allclose(angles[-1], angle_between(rows[0], rows[-1]), atol=1e-6)
            norms = np.linalg.norm(rows.astype(np.float64), axis=1)
            assert (norms >= min(norms[0], norms[-1]) * (1 - 1e-6)).all()
            assert (norms <= max(norms[0], norms[-1]) * (1 + 1e-6)).all()
        np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
        assert (mixed >= 0).all()


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("loop", [False, True])
def test_every_keyframe_is_a_frame_exactly(method: Any, loop: bool) -> None:
    for seed in range(40):
        path, latent, class_vector = random_path(seed, loop, method=method)
        found, mixed = path.part(0, path.frames)
        np.testing.assert_array_equal(found[list(path.keyframes)], latent)
        np.testing.assert_array_equal(mixed[list(path.keyframes)], class_vector)
        assert path.keyframes[0] == 0
        assert len(found) == len(mixed) == path.frames
        assert (path.keyframes[-1] == path.frames - 1) is not loop


def test_parts_are_the_whole() -> None:
    path, _, _ = random_path(5, loop=True)
    whole = path.part(0, path.frames)
    parts = [path.part(start, start + 7) for start in range(0, path.frames, 7)]
    for place in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), whole[place])


def steps_of_loop(path: LatentPath) -> npt.NDArray[np.float64]:
    """How far each frame is from the one before, the first from the last: angle and mixture together."""
    latent, mixed = path.part(0, path.frames)
    pairs = [(frame, (frame + 1) % path.frames) for frame in range(path.frames)]
    turned = np.array([angle_between(latent[a], latent[b]) for a, b in pairs])
    moved = np.array([np.linalg.norm(mixed[b] - mixed[a]) for a, b in pairs])
    steps: npt.NDArray[np.float64] = np.hypot(turned, moved)
    return steps


@pytest.mark.parametrize("seed", range(10))
def test_the_speed_of_a_loop_has_no_jump_also_where_it_closes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    count = int(draw.integers(2, 7))
    latent = latents(draw.integers(0, 2**32, count).tolist(), 64)
    latent = (latent / np.linalg.norm(latent, axis=1, keepdims=True)).astype(np.float32)
    path = LatentPath(latent, classes(*draw.integers(0, 3, count).tolist()), 240, loop=True)
    steps = steps_of_loop(path)
    changes = np.abs(np.diff(np.concatenate([steps, steps[:1]])))
    # From one frame to the next the speed changes by little, at the keyframes and the close as elsewhere.
    assert changes.max() < 0.03 * steps.mean()
    assert steps.min() > 0.8 * steps.mean()  # it never rests,
    assert steps.max() < 1.2 * steps.mean()  # and so the first frame is not repeated at the end


@pytest.mark.parametrize("seed", range(5))
def test_the_speed_of_a_straight_loop_has_no_jump_whatever_the_norms(seed: int) -> None:
    draw = np.random.default_rng(seed)
    latent = (latents(range(5), 64) * draw.uniform(0.5, 2, (5, 1))).astype(np.float32)
    path = LatentPath(latent, classes(0, 0, 0, 0, 0), 240, "lerp", loop=True)
    found = path.part(0, 240)[0].astype(np.float64)
    steps = np.linalg.norm(np.roll(found, -1, axis=0) - found, axis=1)
    assert np.abs(np.diff(steps, append=steps[0])).max() < 0.03 * steps.mean()
    assert steps.min() > 0.8 * steps.mean()


def test_a_short_way_between_two_long_ones_slows_the_pace_down_and_up_again_without_a_jump() -> None:
    a, b, c = latents([1, 2, 3], 64)
    near = (a + 0.01 * b).astype(np.float32)
    path = LatentPath(np.stack([a, near, b, c]), classes(0, 0, 0, 0), 12, loop=True)
    assert path.keyframes[:2] == (0, 1)  # a frame for the short one, whose step is far smaller,
    steps = steps_of_loop(path)
    assert steps[0] < 0.05 * steps.mean()
    ratios = steps / np.roll(steps, 1)
    assert ratios[2:6].max() < 4  # and the speed comes back over several frames


def test_ways_get_frames_by_their_length_and_a_class_is_a_length_too() -> None:
    a, b = latents([1, 2], 64)
    (angle,) = {angle_between(a, b)}
    path = LatentPath(np.stack([a, b, b]), classes(0, 0, 1), 101)
    expected = 100 * angle / (angle + np.sqrt(2))
    assert abs(path.keyframes[1] - expected) <= 0.51
    still = LatentPath(np.stack([a, a, a]), classes(0, 0, 0), 9)
    assert still.keyframes == (0, 4, 8)
    np.testing.assert_array_equal(still.part(0, 9)[0], np.stack([a] * 9))


def test_ease_in_out_rests_at_keyframes() -> None:
    path, latent, _ = random_path(3, loop=True, easing="ease-in-out")
    steps = steps_of_loop(path)
    for frame in path.keyframes:
        assert steps[frame] < 0.5 * steps.mean()
    assert len(latent) == len(path.keyframes)


@pytest.mark.parametrize("loop", [False, True])
def test_as_many_frames_as_keyframes_are_the_keyframes(loop: bool) -> None:
    latent = latents(range(64), 8)
    path = LatentPath(latent, classes(*[n % 3 for n in range(64)]), 64, loop=loop)
    assert path.keyframes == tuple(range(64))
    np.testing.assert_array_equal(path.part(0, 99)[0], latent)


def test_too_few_or_too_many_are_refused() -> None:
    latent = latents(range(65), 8)
    vectors = classes(*[0] * 65)
    with pytest.raises(ValueError, match="1 keyframes: allowed are 2 to 64"):
        LatentPath(latent[:1], vectors[:1], 9)
    with pytest.raises(ValueError, match="65 keyframes: allowed are 2 to 64"):
        LatentPath(latent, vectors, 99)
    with pytest.raises(ValueError, match="3 class vectors for 4 latents"):
        LatentPath(latent[:4], vectors[:3], 9)
    with pytest.raises(ValueError, match="3 frames for 4 keyframes"):
        LatentPath(latent[:4], vectors[:4], 3)


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_neighbour_is_turned_by_the_strength_and_keeps_the_norm(strength: float) -> None:
    (latent,) = latents([7], 64) * np.float32(1.3)
    others = latents(range(100, 108), 64)
    near = neighbours(latent, others, strength)
    norm = float(np.linalg.norm(latent))
    np.testing.assert_allclose(np.linalg.norm(near, axis=1), norm, rtol=1e-6)
    for row, other in zip(near, others, strict=True):
        whole = angle_between(latent, other)
        np.testing.assert_allclose(angle_between(latent, row), strength * whole, atol=1e-6)
    if strength == 0:
        np.testing.assert_array_equal(near, np.stack([latent] * 8))


def test_a_neighbour_towards_nowhere_is_the_latent_itself() -> None:
    (latent,) = latents([7], 8)
    np.testing.assert_allclose(neighbours(latent, np.zeros((2, 8), np.float32), 0.5), [latent] * 2, rtol=1e-6)
