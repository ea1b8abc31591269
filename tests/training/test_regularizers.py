"""Penalties on a discriminator's gradient, clipping, and steps looked ahead."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from training.regularizers import (
    clip_weights,
    gradient_penalty,
    score_gradients,
    squared_norms,
    zero_centred_penalty,
)
from training.unrolling import unrolled

LABELS = torch.zeros(6, dtype=torch.long)


def linear(direction: list[float], factor: float) -> nn.Linear:
    """A critic whose gradient is everywhere `factor` long."""
    layer = nn.Linear(len(direction), 1)
    with torch.no_grad():
        layer.weight.copy_(factor * nn.functional.normalize(torch.tensor([direction])))
    return layer


@pytest.mark.parametrize(("length", "penalty"), [(1.0, 0.0), (3.0, 4.0), (0.5, 0.25)])
def test_the_gradient_penalty_is_zero_for_unit_gradients_only(length: float, penalty: float) -> None:
    critic = linear([1.0, -2.0, 2.0], length)
    real, fake, place = torch.randn(6, 3), torch.randn(6, 3), torch.rand(6)
    found = gradient_penalty(lambda x, _: critic(x).squeeze(1), real, fake, LABELS, place)
    assert found.item() == pytest.approx(penalty, abs=1e-5)


def test_the_gradient_penalty_looks_between_real_and_generated() -> None:
    seen: list[Tensor] = []

    def score(images: Tensor, labels: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.sum((1, 2, 3))

    real, fake = torch.zeros(6, 1, 2, 2), torch.ones(6, 1, 2, 2)
    place = torch.linspace(0, 1, 6)
    gradient_penalty(score, real, fake, LABELS, place)
    torch.testing.assert_close(seen[0].mean((1, 2, 3)), place)


def test_zero_centred_penalties_are_half_the_squared_slope_and_teach_the_critic() -> None:
    critic = linear([3.0, 4.0], 2.0)
    points = torch.randn(6, 2, requires_grad=True)
    penalty = zero_centred_penalty(squared_norms(score_gradients(critic(points), points)))
    assert penalty.item() == pytest.approx(2.0)  # 2^2 / 2
    penalty.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(critic.weight.grad, critic.weight)  # d(|w|^2 / 2) / dw


def test_a_clipped_critic_is_within_its_box_and_otherwise_unchanged() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    before = [parameter.detach().clone() for parameter in critic.parameters()]
    clip_weights(critic, 0.1)
    for parameter, old in zip(critic.parameters(), before, strict=True):
        assert float(parameter.detach().abs().max()) <= 0.1 + 1e-8
        kept = old.abs() <= 0.1
        assert torch.equal(parameter.detach()[kept], old[kept])


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = spectral_norm(nn.Linear(2, 8)), nn.Linear(8, 1)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.last(torch.tanh(self.first(points)))
        return logits.squeeze(1)


def trained(
    steps: int, critic: nn.Module, optimizer: torch.optim.Optimizer, real: Tensor, fake: Tensor
) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = softplus(-critic(real, LABELS)).mean() + softplus(critic(fake, LABELS)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.mark.parametrize("steps_before", [0, 3])
def test_looking_ahead_is_what_the_optimizer_will_do_and_leaves_everything_as_it_was(
    steps_before: int,
) -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(6, 2) + 1, torch.randn(6, 2) - 1
    critic = Critic()
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
    trained(steps_before, critic, optimizer, real, fake)
    weights, state = copy.deepcopy(critic.state_dict()), copy.deepcopy(optimizer.state_dict())

    def loss(score: object) -> Tensor:
        on_real, on_fake = score(real, LABELS), score(fake, LABELS)  # type: ignore[operator]
        return softplus(-on_real).mean() + softplus(on_fake).mean()

    ahead = unrolled(critic, optimizer, loss, 4)(real, LABELS).detach()
    for key, value in critic.state_dict().items():  # weights, and the vectors of spectral normalisation
        assert torch.equal(value, weights[key]), key
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for index, moments in state["state"].items():
        assert all(torch.equal(after["state"][index][key], value) for key, value in moments.items())

    trained(4, critic, optimizer, real, fake)
    torch.testing.assert_close(ahead, critic(real, LABELS).detach(), rtol=1e-4, atol=1e-4)


def test_the_gradient_goes_through_the_steps_ahead() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(6, 2), torch.randn(6, 2, requires_grad=True)
    critic = Critic()
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)

    def loss(score: object) -> Tensor:
        on_real, on_fake = score(real, LABELS), score(fake, LABELS)  # type: ignore[operator]
        return softplus(-on_real).mean() + softplus(on_fake).mean()

    elsewhere = unrolled(critic, optimizer, loss, 2)(real, LABELS).sum()
    (through,) = torch.autograd.grad(elsewhere, fake)  # `fake` is in nothing but the steps
    assert bool(through.isfinite().all())
    assert float(through.abs().max()) > 0
