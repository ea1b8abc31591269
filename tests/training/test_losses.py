"""What each objective asks of the two sides."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from training.combinations import WITH_TARGETS
from training.config import Loss
from training.losses import OBJECTIVES, objective

SURE, DOUBTFUL = 8.0, 0.0


def slope(name: Loss, fake_logit: float) -> float:
    """The generator's gradient at one generated image that scores so, next to a real one that scores 0."""
    fake = torch.tensor([fake_logit], requires_grad=True)
    OBJECTIVES[name].generator(torch.zeros(1), fake).backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None
    return float(fake.grad)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_generator_wants_its_images_to_score_higher(name: Loss) -> None:
    assert slope(name, DOUBTFUL) < 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_discriminator_wants_real_images_to_score_higher_than_generated_ones(name: Loss) -> None:
    real, fake = torch.full((4,), 0.5, requires_grad=True), torch.full((4,), 0.5, requires_grad=True)
    OBJECTIVES[name].discriminator(real, fake).backward()  # type: ignore[no-untyped-call]
    assert real.grad is not None
    assert fake.grad is not None
    assert float(real.grad.max()) < 0 < float(fake.grad.min())


@pytest.mark.parametrize("name", ["nonsaturating", "least-squares", "wasserstein", "hinge", "relativistic"])
def test_the_gradient_does_not_vanish_where_the_generator_is_caught(name: Loss) -> None:
    assert slope(name, -SURE) < -0.99


@pytest.mark.parametrize("name", ["saturating", "linear"])
def test_the_gradient_of_minimax_and_linear_losses_vanishes_there(name: Loss) -> None:
    assert -1e-3 < slope(name, -SURE) < 0


def test_the_nonsaturating_loss_is_cross_entropy() -> None:
    real, fake = torch.randn(8), torch.randn(8)
    pair = OBJECTIVES["nonsaturating"]
    bce = binary_cross_entropy_with_logits
    torch.testing.assert_close(
        pair.discriminator(real, fake), bce(real, torch.ones(8)) + bce(fake, torch.zeros(8))
    )
    torch.testing.assert_close(pair.generator(real, fake), bce(fake, torch.ones(8)))


def test_the_saturating_game_is_zero_sum() -> None:
    fake = torch.randn(8)
    pair, never_wrong = OBJECTIVES["saturating"], torch.full((8,), 200.0)
    torch.testing.assert_close(pair.generator(fake, fake), -pair.discriminator(never_wrong, fake))


def test_the_linear_loss_lies_between_sure_and_fooled() -> None:
    pair, sure = OBJECTIVES["linear"], torch.tensor([50.0])
    assert float(pair.discriminator(sure, -sure)) == pytest.approx(0)
    assert float(pair.discriminator(-sure, sure)) == pytest.approx(2)
    assert float(pair.discriminator(0 * sure, 0 * sure)) == pytest.approx(1)


def test_least_squares_also_pulls_back_what_is_taken_for_more_than_real() -> None:
    assert slope("least-squares", 3.0) > 0


def test_the_wasserstein_loss_is_a_difference_that_no_shift_changes() -> None:
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])
    loss = OBJECTIVES["wasserstein"].discriminator
    assert float(loss(real, fake)) == pytest.approx(-2.5)
    assert float(loss(real + 7, fake + 7)) == pytest.approx(-2.5)


def test_hinge_asks_for_a_margin_of_one_and_no_more() -> None:
    loss = OBJECTIVES["hinge"].discriminator
    assert float(loss(torch.tensor([1.0, 9.0]), torch.tensor([-1.0, -9.0]))) == 0
    assert float(loss(torch.tensor([0.0]), torch.tensor([0.0]))) == 2


def test_the_relativistic_losses_compare_pairs_and_mirror_each_other() -> None:
    pair = OBJECTIVES["relativistic"]
    real, fake = torch.randn(8), torch.randn(8)
    torch.testing.assert_close(pair.discriminator(real + 3, fake + 3), pair.discriminator(real, fake))
    torch.testing.assert_close(pair.discriminator(real, fake), pair.generator(fake, real))
    assert float(pair.discriminator(real, real)) == pytest.approx(math.log(2))
    assert [name for name, p in OBJECTIVES.items() if p.generator_sees_real] == ["relativistic"]


def best_real_logit(name: Loss, real_target: float) -> float:
    """What the discriminator would best say of real images."""
    logits = torch.linspace(-6, 6, 1201)
    loss = objective(name, real_target).discriminator
    values: list[Tensor] = [loss(logit[None], torch.zeros(1)) for logit in logits]
    return float(logits[int(torch.stack(values).argmin())])


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_label_smoothing_moves_the_best_score_of_real_images_only(name: Loss) -> None:
    expected = 0.9 if name == "least-squares" else math.log(0.9 / 0.1)  # s(2.2) = 0.9
    assert best_real_logit(name, 0.9) == pytest.approx(expected, abs=0.006)
    fake = torch.randn(8)
    smoothed, plain = objective(name, 0.9), objective(name)
    assert smoothed.generator(fake, fake) == plain.generator(fake, fake)
    of_fake = [
        loss.discriminator(fake, fake + 1) - loss.discriminator(fake, fake) for loss in (smoothed, plain)
    ]
    torch.testing.assert_close(*of_fake)
