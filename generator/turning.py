"""From one latent to another: straight, or along a great circle; the end points are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from generator.latents import Floats, Latents

Method = Literal["slerp", "lerp", "nlerp"]

STRAIGHT = 1e-7  # radians: below, two directions have no arc between them that float64 could tell


def lerp(start: Latents, end: Latents, weight: npt.ArrayLike) -> Latents:
    """The straight way: (1 - weight) start + weight end, float32.

    start, end [D] and one weight make [D], N weights [N, D]. Between random latents of many components the
    norm sinks by almost a third on the way, to where the generator was hardly trained.
    """
    return _ended(_straight, start, end, weight)


def slerp(start: Latents, end: Latents, weight: npt.ArrayLike) -> Latents:
    """The great-circle way (White 2016, arXiv:1609.04468): the direction turned, the norm interpolated.

    Shapes as in `lerp`. The direction turns evenly with the weight. Latents that point the same way, and
    those where one is zero, have no arc between them and go straight; opposite ones turn through a fixed
    direction at a right angle.
    """
    return _ended(_turned, start, end, weight)


def nlerp(start: Latents, end: Latents, weight: npt.ArrayLike) -> Latents:
    """The directions of the straight way, the norm interpolated; shapes as in `lerp`.

    The same great circle as `slerp`, turned fastest half-way. Opposite latents turn as in `slerp`.
    """
    return _ended(_corrected, start, end, weight)


METHODS: dict[Method, Callable[[Latents, Latents, npt.ArrayLike], Latents]] = {
    "slerp": slerp,
    "lerp": lerp,
    "nlerp": nlerp,
}


def angle_between(start: Latents, end: Latents) -> float:
    """Radians, 0 to pi; 0 where one is zero."""
    a, b = start.astype(np.float64), end.astype(np.float64)
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    return _angle(a / norm_a, b / norm_b) if norm_a and norm_b else 0.0


def _angle(a: Floats, b: Floats) -> float:
    """Of unit vectors. 2 atan2(|a-b|, |a+b|) keeps its accuracy where arccos(a.b) loses it: near 0 and pi."""
    return 2 * math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))


def _ended(
    way: Callable[[Floats, Floats, Floats], Floats], start: Latents, end: Latents, weight: npt.ArrayLike
) -> Latents:
    """A way in float64, its points rounded once, its ends taken as they are; weights beside each other."""
    weights = np.asarray(weight, np.float64)
    column = np.atleast_1d(weights)[:, None]  # [N, 1]
    points = way(start.astype(np.float64), end.astype(np.float64), column).astype(np.float32)  # [N, D]
    points = np.where(column == 0, start, np.where(column == 1, end, points)).astype(np.float32)
    return points.reshape(*weights.shape, len(start))


def _straight(a: Floats, b: Floats, weight: Floats) -> Floats:
    return (1 - weight) * a + weight * b


def _turned(a: Floats, b: Floats, weight: Floats) -> Floats:
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if norm_a == 0 or norm_b == 0:
        return _straight(a, b, weight)
    a, b = a / norm_a, b / norm_b
    norm = (1 - weight) * norm_a + weight * norm_b
    angle = _angle(a, b)
    if angle < STRAIGHT:
        return norm * a
    if math.pi - angle < STRAIGHT:
        b = _right_angle_to(a)
        return norm * (np.cos(weight * math.pi) * a + np.sin(weight * math.pi) * b)
    return norm * (np.sin((1 - weight) * angle) * a + np.sin(weight * angle) * b) / math.sin(angle)


def _corrected(a: Floats, b: Floats, weight: Floats) -> Floats:
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    points = _straight(a, b, weight)
    if norm_a == 0 or norm_b == 0:
        return points
    if math.pi - _angle(a / norm_a, b / norm_b) < STRAIGHT:
        return _turned(a, b, weight)
    norm = (1 - weight) * norm_a + weight * norm_b
    corrected: Floats = points * (norm / np.linalg.norm(points, axis=1, keepdims=True))
    return corrected


def _right_angle_to(direction: Floats) -> Floats:
    """A fixed unit vector at a right angle to a unit vector; for one dimension, zero."""
    axis = np.zeros_like(direction)
    axis[int(np.argmin(np.abs(direction)))] = 1
    rest = axis - (axis @ direction) * direction
    length = float(np.linalg.norm(rest))
    return rest / length if length > 0 else np.zeros_like(direction)
