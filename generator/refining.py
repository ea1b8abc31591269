"""Refining a latent, so that its image comes closer to a given one, by the generator's images alone.

A step is one of Gauss and Newton with the damping of Levenberg (1944) and Marquardt (1963). It needs no
gradient: the change of the pixels along each direction is measured, by one batch of images a stride away,
and several dampings are tried, in another. A latent's prior, N(0, 1), pulls on it a little, so that it
stays where the generator was trained. Nothing is drawn: the same image gives the same latent.

>>> search = refine(image, latent, steps=3)
>>> wanted = next(search)  # latents, whose images the search is to be sent
>>> wanted = search.send(engine.generate(wanted, ...))  # until it returns what was found
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.latents import Floats, Latents
from generator.pixels import Pixels, rms_error
from generator.spec import Noise

STEPS = 3  # unless told otherwise, wherever images are inverted
MAX_PROBES = 64  # directions that a step looks into: of a larger latent space other ones each time
STRIDE = 0.3  # from a latent to its probes: far enough to tell in pixels of 256 steps
DAMPINGS = np.geomspace(1e-3, 10, 8)  # that are tried, times the mean squared change of the pixels
PULL = 25.0  # of the prior: the variance of pixels that is taken for what no latent can explain
BOUNDS: dict[Noise, float] = {
    "gaussian": 5.0,
    "uniform": 1.0,
}  # no component that was trained with lies beyond


class Refined(NamedTuple):
    """What a search found."""

    latent: Latents  # [latent_dim]
    image: Pixels  # [H, W, C]
    error: float  # root mean square of pixels, of 255


Search = Generator[Latents, Pixels, Refined]


def images_of_search(steps: int, latent_dim: int) -> int:
    """How many images a search has made at most."""
    return 1 + steps * (min(MAX_PROBES, latent_dim) + len(DAMPINGS))


def refine(target: Pixels, latent: Latents, steps: int, noise: Noise = "gaussian") -> Search:
    """Yields latents [N, latent_dim], is to be sent their images [N, H, W, C], and returns the best.

    `target` is [H, W, C], `latent`, where the search begins, [latent_dim]. With 0 steps that one's image
    and error are found. No step makes the error larger.
    """
    bound = BOUNDS[noise]
    latent = latent.clip(-bound, bound).astype(np.float32)
    image = (yield latent[None])[0]
    error = float(rms_error(image, target))
    for step in range(steps):
        basis = _basis(len(latent), step)  # [P, latent_dim]
        probed = yield (latent + STRIDE * basis).astype(np.float32)
        slopes = _flat(probed, image) / STRIDE  # [P, pixels]
        toward = slopes @ _flat(target[None], image)[0] - PULL * basis @ latent  # [P]
        candidates = (latent + _moves(slopes, toward) @ basis).clip(-bound, bound).astype(np.float32)
        images = yield candidates
        errors = rms_error(images, target)
        best = int(errors.argmin())
        if errors[best] < error:
            latent, image, error = candidates[best], images[best], float(errors[best])
        elif len(basis) == len(latent):  # the next step would be the same
            break
    return Refined(latent, image, error)


def _basis(latent_dim: int, step: int) -> Floats:
    """Unit directions at right angles to each other, [at most 64, latent_dim], the same for ever."""
    if latent_dim <= MAX_PROBES:
        return np.eye(latent_dim)
    draw = np.random.default_rng(step).standard_normal((latent_dim, MAX_PROBES))
    basis: Floats = np.linalg.qr(draw)[0].T
    return basis


def _flat(images: Pixels, origin: Pixels) -> Floats:
    """How far images [N, H, W, C] are from another one, [N, pixels]."""
    return (images.astype(np.float64) - origin).reshape(len(images), -1)


def _moves(slopes: Floats, toward: Floats) -> npt.NDArray[np.float64]:
    """The step for each damping, [dampings, P]: (S S^T + (pull + damping) I)^-1 toward."""
    eigenvalues, vectors = np.linalg.eigh(slopes @ slopes.T)
    damped = eigenvalues + PULL + eigenvalues.mean() * DAMPINGS[:, None]  # [dampings, P]
    moves: Floats = (vectors.T @ toward / damped) @ vectors.T
    return moves
