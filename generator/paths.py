"""Ways through latent space: frames from keyframe to keyframe, at an even pace."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from generator.latents import Floats, Latents
from generator.turning import METHODS, Method, angle_between, lerp, slerp

Easing = Literal["linear", "ease-in-out"]

MAX_KEYFRAMES = 64


class LatentPath:
    """The frames of a way through keyframes; computed when they are asked for, any part alone.

    `keyframes` are the frames that show the keyframes themselves: their latents and class vectors, exactly. A
    loop goes back from the last keyframe to the first and ends one frame before it, so that it may be shown
    again and again.

    The pace, in short: each way between two keyframes gets frames in proportion to its length, and the
    position on the whole way is a function of the frame that has no corner (with one derivative,
    monotone), in a loop also where it closes. So the speed never jumps; the direction of the way does turn at
    a keyframe, since ways meet there at an angle. (Of `nlerp` this is true of how far a way has been gone; it
    turns faster half-way.) `ease-in-out` comes to rest at each keyframe.
    """

    def __init__(
        self,
        latent: Latents,
        class_vector: npt.NDArray[np.float32],
        frames: int,
        method: Method = "slerp",
        loop: bool = False,
        easing: Easing = "linear",
    ) -> None:
        """Keyframes: latent [K, latent_dim], class_vector [K, num_classes].

        Raises ValueError for fewer than two or more than 64 keyframes, for fewer frames than keyframes, and
        for lists of two lengths.
        """
        count = len(latent)
        if not 2 <= count <= MAX_KEYFRAMES:
            raise ValueError(f"{count} keyframes: allowed are 2 to {MAX_KEYFRAMES}")
        if frames < count:
            raise ValueError(f"{frames} frames for {count} keyframes: each of them needs one")
        if len(class_vector) != count:
            raise ValueError(f"{len(class_vector)} class vectors for {count} latents: one each is needed")
        self.frames, self._method = frames, METHODS[method]
        last = [0] if loop else []
        places = [*range(count), *last]
        self._latent, self._class_vector = latent[places], class_vector[places]  # [ways + 1, ...]
        lengths = self._lengths(method)
        ends = _share_out(frames if loop else frames - 1, lengths)  # [ways + 1] frames
        self.keyframes: tuple[int, ...] = tuple(ends[:count].tolist())
        steps = np.diff(ends)
        speeds = lengths / steps  # mean, of each way
        slopes = np.zeros((len(speeds), 2)) if easing == "ease-in-out" else _slopes(speeds, steps, loop)
        self._ends, self._slopes = ends, slopes

    def part(self, start: int, stop: int) -> tuple[Latents, npt.NDArray[np.float32]]:
        """The frames from `start` to before `stop`: latent [N, latent_dim], class_vector [N, num_classes]."""
        frame = np.arange(start, min(stop, self.frames))
        way = np.minimum(np.searchsorted(self._ends, frame, side="right") - 1, len(self._slopes) - 1)
        weight = self._weights(frame, way)
        latent = np.empty((len(frame), self._latent.shape[1]), np.float32)
        class_vector = np.empty((len(frame), self._class_vector.shape[1]), np.float32)
        for one in np.unique(way):
            rows = way == one
            latent[rows] = self._method(self._latent[one], self._latent[one + 1], weight[rows])
            class_vector[rows] = lerp(self._class_vector[one], self._class_vector[one + 1], weight[rows])
        return latent, class_vector

    def _weights(self, frame: npt.NDArray[np.int_], way: npt.NDArray[np.int_]) -> Floats:
        """How far each frame is on its way, 0 to 1: a cubic with given slopes at both ends (Hermite's)."""
        u = (frame - self._ends[way]) / np.diff(self._ends)[way]
        at_start, at_end = self._slopes[way].T
        weight: Floats = u * u * (3 - 2 * u) + at_start * u * (1 - u) ** 2 + at_end * u * u * (u - 1)
        return np.clip(weight, 0, 1)

    def _lengths(self, method: Method) -> Floats:
        """Of each way: how far the latent goes, and how far the class vector; [ways].

        The latent's part is the angle in radians and the change of its norm, of a straight way the distance;
        norms and distances in units of the keyframes' mean norm.
        """
        norms = np.linalg.norm(self._latent.astype(np.float64), axis=1)
        unit = float(norms.mean()) or 1.0
        lengths = []
        for one, (a, b) in enumerate(pairwise(self._latent)):
            if method == "lerp":
                moved = float(np.linalg.norm(b.astype(np.float64) - a)) / unit
            else:
                moved = math.hypot(angle_between(a, b), (norms[one + 1] - norms[one]) / unit)
            mixed = float(np.linalg.norm(self._class_vector[one + 1] - self._class_vector[one]))
            lengths.append(math.hypot(moved, mixed))
        return np.array(lengths)


def _share_out(steps: int, lengths: Floats) -> npt.NDArray[np.int_]:
    """The frames on which ways begin, and where the last ends: in proportion to length, at least one each."""
    ways = len(lengths)
    total = float(lengths.sum())
    shares = lengths / total if total > 0 else np.full(ways, 1 / ways)
    ends = np.round(np.concatenate([[0.0], np.cumsum(shares)]) * steps).astype(np.int_)
    place = np.arange(ways + 1)
    ends = np.maximum.accumulate(ends - place) + place  # at least one frame after the one before
    return np.minimum(ends, steps - place[::-1])  # and as many left as there are ways to come


def _slopes(speeds: Floats, steps: npt.NDArray[np.int_], loop: bool) -> Floats:
    """The speed at both ends of each way, in units of its mean speed; [ways, 2], each 0 to 3.

    Two neighbours have the same speed where they meet: the weighted harmonic mean of their mean speeds, with
    which a cubic between them is monotone (Fritsch and Butland 1984, in the form of their eq. for PCHIP).
    """
    before, after = speeds, np.roll(speeds, -1)
    steps_after = np.roll(steps, -1)
    weight, weight_after = 2 * steps_after + steps, steps_after + 2 * steps
    moving = (before > 0) & (after > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight + weight_after) / (weight / before + weight_after / after)
    at_end = np.where(moving, mean, 0.0)
    if not loop:
        at_end[-1] = speeds[-1]
    at_start = np.roll(at_end, 1)
    if not loop:
        at_start[0] = speeds[0]
    both = np.stack([at_start, at_end], axis=1)
    slopes: Floats = np.divide(both, speeds[:, None], out=np.zeros_like(both), where=speeds[:, None] > 0)
    return slopes


def neighbours(latent: Latents, others: Latents, strength: float) -> Latents:
    """Latents near one [D], float32 [N, D]: turned towards each of `others` [N, D], its norm kept.

    `strength` 0 is the latent itself, 1 the other's direction; between, the angle grows evenly with it.
    """
    norm = float(np.linalg.norm(latent.astype(np.float64)))
    exact = others.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    itself = np.tile(latent, (len(exact), 1)).astype(np.float64)
    targets = np.divide(exact * norm, lengths, out=itself, where=lengths > 0)
    return np.stack([slerp(latent, target, strength) for target in targets.astype(np.float32)])
