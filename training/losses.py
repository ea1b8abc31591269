"""Objectives: each a pair of pure functions of logits [N]; lower is better for the one who steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

from training.config import Loss


class Objective(NamedTuple):
    discriminator: Callable[[Tensor, Tensor], Tensor]  # (real_logits, fake_logits) -> scalar
    generator: Callable[[Tensor], Tensor]  # (fake_logits) -> scalar


def _hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def _hinge_generator(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))]."""
    return -fake_logits.mean()


def _nonsaturating_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log s(D(x))] - E[log(1 - s(D(G(z))))], s the logistic function (Goodfellow et al. 2014)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def _nonsaturating_generator(fake_logits: Tensor) -> Tensor:
    """-E[log s(D(G(z)))]: its gradient does not vanish where the discriminator is sure."""
    return softplus(-fake_logits).mean()


OBJECTIVES: dict[Loss, Objective] = {
    "hinge": Objective(_hinge_discriminator, _hinge_generator),
    "nonsaturating": Objective(_nonsaturating_discriminator, _nonsaturating_generator),
}
