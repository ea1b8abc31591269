"""The generator's gradient out of the discriminator's own step, so that one pass serves both networks.

One-stage training (Shen, Yin, Wang, Li, Song, Song 2021): where an image's score s depends on that image x
alone, each side's loss has the gradient L'(s) ds/dx at it. The two sides differ by L'(s), a number for each
image, so either gradient is the other one scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses import Objective


def slopes(objective: Objective, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The generator's loss, and how both sides' losses change with each generated image's score.

    Logits [N] -> scalar; the discriminator's slopes [N]; the generator's slopes [N].
    """
    real, fake = real_logits.detach(), fake_logits.detach().requires_grad_()
    (of_discriminator,) = torch.autograd.grad(objective.discriminator(real, fake), fake)
    loss = objective.generator(real, fake)
    (of_generator,) = torch.autograd.grad(loss, fake)
    return loss.detach(), of_discriminator, of_generator


def rescaled(gradient: Tensor, had: Tensor, wanted: Tensor) -> Tensor:
    """Gradients at images [N, ...] of a loss with slopes `had` [N / pack], as those of one with `wanted`.

    Where there was no slope at all nothing is left to scale: the gradient is 0.
    """
    ratio = torch.where(had == 0, 0, wanted / had).repeat_interleave(len(gradient) // len(had))
    return gradient * ratio.view(-1, *[1] * (gradient.ndim - 1))
