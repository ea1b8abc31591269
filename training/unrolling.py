"""The discriminator as it will be a few steps from now, for the generator to be judged by.

Unrolled GAN (Metz, Poole, Pfau, Sohl-Dickstein 2017): the generator's loss is f(theta_G, theta_D^K(theta_G)),
and its gradient goes through the K steps. So the generator gains nothing from a place that the discriminator
would find out at once, such as a single mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from training.regularizers import Score


def unrolled(
    discriminator: nn.Module,
    optimizer: torch.optim.Adam,
    loss: Callable[[Score], Tensor],
    steps: int,
) -> Score:
    """`discriminator` after `steps` more steps of `optimizer` down `loss`, as a differentiable function.

    Works on copies: weights, buffers and the optimizer's state stay as they are. Each step is Adam's as the
    optimizer would make it (Kingma and Ba 2015, algorithm 1), on the same images each time, as in the paper's
    own experiments; epsilon stands inside the root, whose slope is infinite at 0.
    """
    named = dict(discriminator.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in discriminator.named_buffers()}
    group = optimizer.param_groups[0]
    lr, eps, (beta1, beta2) = group["lr"], group["eps"], group["betas"]

    # All weights as one vector: an Adam step is then a handful of operations, not as many for each layer.
    weights = _joined(named.values()).requires_grad_()
    done = int(next((state["step"] for state in optimizer.state.values()), 0))
    mean = _joined(optimizer.state[w]["exp_avg"] if done else torch.zeros_like(w) for w in named.values())
    square = _joined(
        optimizer.state[w]["exp_avg_sq"] if done else torch.zeros_like(w) for w in named.values()
    )

    def score(images: Tensor, labels: Tensor) -> Tensor:
        pieces = torch.split(weights, [weight.numel() for weight in named.values()])
        shaped = {name: piece.view_as(named[name]) for name, piece in zip(named, pieces, strict=True)}
        logits: Tensor = functional_call(discriminator, {**shaped, **buffers}, (images, labels))
        return logits

    for step in range(done + 1, done + steps + 1):
        (gradient,) = torch.autograd.grad(loss(score), weights, create_graph=True)
        mean = torch.lerp(gradient, mean, beta1)
        square = torch.lerp(gradient.square(), square, beta2)
        root = (square / (1 - beta2**step) + eps**2).sqrt()
        weights = weights - lr / (1 - beta1**step) * mean / root
    return score


def _joined(tensors: Iterable[Tensor]) -> Tensor:
    """Tensors of any shape as one vector, apart from their graph."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
