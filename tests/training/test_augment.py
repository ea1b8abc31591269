"""What is done to images before the discriminator sees them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from training.augment import augmented, with_noise
from training.config import Augmentation, TrainConfig
from training.schedules import scheduled

NAMES = get_args(Augmentation)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images(channels: int = 3) -> torch.Tensor:
    return torch.rand(64, channels, 16, 16, generator=rng()) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_augmentation_changes_a_share_of_images_and_lets_gradients_through(
    name: Augmentation, channels: int
) -> None:
    before = images(channels).requires_grad_()
    after = augmented(before, [name], 0.5, rng())
    changed = (after != before).flatten(1).any(1)
    assert 20 < int(changed.sum()) < 44
    after.square().sum().backward()  # type: ignore[no-untyped-call]
    assert before.grad is not None
    assert bool((before.grad != 0).flatten(1).any(1).all())
    assert torch.equal(augmented(before, [name], 0, rng()), before)


def test_translation_moves_by_at_most_an_eighth_and_fills_with_grey() -> None:
    dot = torch.zeros(200, 1, 16, 16)
    dot[:, :, 8, 8] = 1
    moved = augmented(dot, ["translation"], 1, rng()).nonzero()[:, 2:]
    assert moved.shape == (200, 2)  # one dot in each image still
    assert moved.min(0).values.tolist() == [6, 6]
    assert moved.max(0).values.tolist() == [10, 10]
    edge = augmented(torch.ones(50, 1, 16, 16), ["translation"], 1, rng())
    assert set(edge.flatten().tolist()) == {0, 1}


def test_cutout_takes_at_most_a_quarter_of_the_image() -> None:
    holes = (augmented(torch.ones(200, 1, 16, 16), ["cutout"], 1, rng()) == 0).sum((1, 2, 3))
    assert int(holes.max()) == 64
    assert int(holes.min()) >= 16


def test_instance_noise_has_its_deviation_and_goes_down_to_nothing() -> None:
    config = TrainConfig(instance_noise=0.4)
    still = torch.zeros(64, 1, 16, 16)
    for progress, deviation in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        noisy = with_noise(still, scheduled(config, "instance_noise", progress), rng())
        assert float(noisy.std()) == pytest.approx(deviation, rel=0.02, abs=1e-9)


def test_a_schedule_is_half_a_cosine_from_start_to_end_and_stays_there() -> None:
    config = TrainConfig(generator_lr=2e-4, generator_lr_end=5e-5)
    found = [scheduled(config, "generator_lr", progress) for progress in (0, 0.25, 0.5, 1, 1.5)]
    assert found == pytest.approx([2e-4, 1.78033e-4, 1.25e-4, 5e-5, 5e-5], rel=1e-4)
    assert scheduled(config, "discriminator_lr", 0.5) == config.discriminator_lr
