"""What is done to images before the discriminator sees them, real and generated alike; all differentiable.

DiffAugment (Zhao, Liu, Lin, Zhu, Han 2020): colour, translation, cutout, of its strengths, each image drawing
its own. Instance noise (Arjovsky and Bottou 2017; Sonderby et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.config import Augmentation

MAX_SHIFT = 1 / 8  # of the image's side
CUTOUT = 1 / 2  # side of the square, of the image's side
GREY = 0.0  # what is moved in from outside, or cut out: the middle of [-1, 1]


def augmented(
    images: Tensor, policy: Sequence[Augmentation], probability: float, rng: torch.Generator
) -> Tensor:
    """Images [N, C, H, W] with each of the policy's changes done to a share `probability` of them."""
    for name in policy:
        changed = CHANGES[name](images, rng)
        chosen = _uniform(images, rng) < probability  # [N, 1, 1, 1]
        images = torch.where(chosen, changed, images)
    return images


def with_noise(images: Tensor, deviation: float, rng: torch.Generator) -> Tensor:
    """Images plus Gaussian noise of that standard deviation."""
    if deviation == 0:
        return images
    noise = torch.randn(images.shape, generator=rng, device=images.device)
    return images + deviation * noise


def _uniform(images: Tensor, rng: torch.Generator) -> Tensor:
    """One number in [0, 1) for each image, [N, 1, 1, 1]."""
    return torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device)


def _colour(images: Tensor, rng: torch.Generator) -> Tensor:
    """Brightness +- 0.5, saturation x 0 to 2, contrast x 0.5 to 1.5."""
    images = images + _uniform(images, rng) - 0.5
    if images.shape[1] > 1:
        grey = images.mean(1, keepdim=True)
        images = torch.lerp(grey, images, 2 * _uniform(images, rng))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images, rng))


def _translation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Up to an eighth of the side along each axis, what comes in being grey."""
    for axis in (2, 3):
        side = images.shape[axis]
        most = int(side * MAX_SHIFT + 0.5)
        shift = (_uniform(images, rng) * (2 * most + 1)).long() - most  # [N, 1, 1, 1], -most .. most
        along = torch.arange(side, device=images.device).view([-1 if n == axis else 1 for n in range(4)])
        source = along + shift  # [N, 1, side, 1] or [N, 1, 1, side]
        inside = (source >= 0) & (source < side)
        taken = images.gather(axis, source.clamp(0, side - 1).expand_as(images))
        images = torch.where(inside, taken, GREY)
    return images


def _cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    """A grey square of half the side, anywhere, over the edge too."""
    inside: Tensor | None = None
    for axis in (2, 3):
        side = images.shape[axis]
        half = int(side * CUTOUT + 0.5) // 2
        middle = (_uniform(images, rng) * (side + 1)).long()
        along = torch.arange(side, device=images.device).view([-1 if n == axis else 1 for n in range(4)])
        within = (along >= middle - half) & (along < middle + half)
        inside = within if inside is None else inside & within
    return torch.where(inside, GREY, images)  # type: ignore[arg-type]


CHANGES: dict[Augmentation, Callable[[Tensor, torch.Generator], Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
