from __future__ import annotations

import pytest
import torch

from training.losses import OBJECTIVES


def test_hinge_asks_for_a_margin_of_one_and_no_more() -> None:
    hinge = OBJECTIVES["hinge"]
    assert float(hinge.discriminator(torch.tensor([1.0, 9.0]), torch.tensor([-1.0, -9.0]))) == 0
    assert float(hinge.discriminator(torch.tensor([0.0]), torch.tensor([0.0]))) == 2
    assert float(hinge.generator(torch.tensor([3.0, 1.0]))) == -2


def test_the_nonsaturating_loss_is_cross_entropy() -> None:
    objective = OBJECTIVES["nonsaturating"]
    real, fake = torch.randn(8), torch.randn(8)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(8)) + bce(fake, torch.zeros(8))
    torch.testing.assert_close(objective.discriminator(real, fake), expected)
    torch.testing.assert_close(objective.generator(fake), bce(fake, torch.ones(8)))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_generators_gradient_does_not_vanish_where_it_is_caught(name: str) -> None:
    caught = torch.tensor([-8.0], requires_grad=True)
    OBJECTIVES[name].generator(caught).backward()  # type: ignore[index, no-untyped-call]
    assert caught.grad is not None
    assert float(caught.grad) < -0.99
