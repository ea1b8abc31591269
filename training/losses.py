"""Objectives: each a pair of pure functions of logits [N]; lower is better for the one who steps.

D(x) is the discriminator's logit, s(t) = 1 / (1 + exp(-t)), so s(D(x)) is its probability of "real". E is
the mean over the batch. softplus(t) = log(1 + exp(t)) = -log s(-t).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from training.combinations import WITH_TARGETS
from training.config import Loss

Side = Callable[[Tensor, Tensor], Tensor]  # (real_logits, fake_logits) -> scalar


class Objective(NamedTuple):
    discriminator: Side
    generator: Side  # looks at real_logits only where `generator_sees_real`
    generator_sees_real: bool = False


def objective(loss: Loss, real_target: float = 1.0) -> Objective:
    """The named pair; `real_target` is what the discriminator is asked to say of real images.

    Below 1 it is one-sided label smoothing (Salimans et al. 2016), for the objectives in `WITH_TARGETS` only:
    the others have no target to smooth.
    """
    pair = OBJECTIVES[loss]
    if loss in WITH_TARGETS and real_target != 1:
        smoothed = partial(pair.discriminator, real_target=real_target)  # type: ignore[call-arg]
        return pair._replace(discriminator=smoothed)
    return pair


def _cross_entropy_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """-E[t log s(D(x)) + (1 - t) log(1 - s(D(x)))] - E[log(1 - s(D(G(z))))], t = 1 but for smoothing.

    Goodfellow et al. 2014, eq. 1.
    """
    on_real = real_target * softplus(-real) + (1 - real_target) * softplus(real)
    return on_real.mean() + softplus(fake).mean()


def _saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[log(1 - s(D(G(z))))]: the minimax game as it is written; flat where the discriminator is sure.

    Goodfellow et al. 2014, eq. 1.
    """
    return -softplus(fake).mean()


def _nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log s(D(G(z)))]: its gradient does not vanish where the discriminator is sure.

    Goodfellow et al. 2014, section 3.
    """
    return softplus(-fake).mean()


def _linear_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[1 - s(D(x))] + E[s(D(G(z)))]: the probabilities themselves, without logarithms.

    The form in which lectures introduce the game. Its best value over all D is 1 - TV, TV being the total
    variation distance, so like the minimax loss it is flat where the discriminator is sure.
    """
    return (1 - torch.sigmoid(real)).mean() + torch.sigmoid(fake).mean()


def _linear_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[1 - s(D(G(z)))]."""
    return (1 - torch.sigmoid(fake)).mean()


def _least_squares_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """E[(D(x) - t)^2] / 2 + E[D(G(z))^2] / 2, t = 1 but for smoothing (Mao et al. 2017, eq. 9)."""
    return ((real - real_target).square().mean() + fake.square().mean()) / 2


def _least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)^2] / 2: also pulls back images that are taken for more than real."""
    return (fake - 1).square().mean() / 2


def _wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)]: minus the Wasserstein-1 distance, if D is 1-Lipschitz (Arjovsky et al. 2017).

    Weight clipping, the gradient penalty or spectral normalisation see to that.
    """
    return fake.mean() - real.mean()


def _minus_mean(real: Tensor, fake: Tensor) -> Tensor:
    """-E[D(G(z))]: the generator's side of Wasserstein and hinge."""
    return -fake.mean()


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017)."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(G(z)) - D(x))]: each real image against one generated image.

    The relativistic pairing loss, Jolicoeur-Martineau 2019, as in R3GAN (Huang et al. 2024), where R1
    and R2 go with it.
    """
    return softplus(fake - real).mean()


def _relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))]: to be taken for more real than the real one it is paired with."""
    return softplus(real - fake).mean()


OBJECTIVES: dict[Loss, Objective] = {
    "saturating": Objective(_cross_entropy_discriminator, _saturating_generator),
    "nonsaturating": Objective(_cross_entropy_discriminator, _nonsaturating_generator),
    "linear": Objective(_linear_discriminator, _linear_generator),
    "least-squares": Objective(_least_squares_discriminator, _least_squares_generator),
    "wasserstein": Objective(_wasserstein_discriminator, _minus_mean),
    "hinge": Objective(_hinge_discriminator, _minus_mean),
    "relativistic": Objective(_relativistic_discriminator, _relativistic_generator, generator_sees_real=True),
}
