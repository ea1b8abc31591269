"""What keeps a discriminator's slope in bounds: penalties on its gradient, and clipping.

They look at gradients by image, so they need a discriminator whose logits each depend on one image (or one
pack) alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

Score = Callable[[Tensor, Tensor], Tensor]  # images [N, ...], labels [N, ...] -> logits [N]


def score_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """dD(x)/dx at each image [N, ...], itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient


def squared_norms(gradients: Tensor) -> Tensor:
    """|g|^2 of each [N, ...] -> [N]."""
    return gradients.flatten(1).square().sum(1)


def zero_centred_penalty(squared_norms: Tensor) -> Tensor:
    """E[|dD/dx|^2] / 2: R1 on real images (Mescheder et al. 2018, eq. 9), R2 on generated ones.

    Times the option's gamma.
    """
    return squared_norms.mean() / 2


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, labels: Tensor, place: Tensor) -> Tensor:
    """E[(|dD/dx| - 1)^2] at points between real and generated images (WGAN-GP, Gulrajani et al. 2017, eq. 3).

    `place`, uniform in [0, 1), one for each image [N], says where between.
    """
    place = place.view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(real.detach(), fake.detach(), place).requires_grad_()
    squared = squared_norms(score_gradients(score(between, labels), between))
    norms = (squared + 1e-12).sqrt()  # finite slope at 0
    return (norms - 1).square().mean()


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float) -> None:
    """Every weight into [-limit, limit] (WGAN, Arjovsky et al. 2017, algorithm 1)."""
    weights = cast(list[Tensor], list(network.parameters()))
    torch._foreach_clamp_max_(weights, limit)
    torch._foreach_clamp_min_(weights, -limit)
