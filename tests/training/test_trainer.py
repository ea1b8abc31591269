"""What the trainer adds to the game: data, the average of weights, labels of generated images."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from training.config import TrainConfig
from training.data import load_dataset
from training.trainer import Trainer


def trainer(**options: Any) -> Trainer:
    tiny = {"image_size": 16, "latent_dim": 4, "generator_width": 2, "discriminator_width": 2, "batch": 32}
    config = TrainConfig(data="shapes", **tiny | options)
    dataset = load_dataset(config)
    return Trainer(config, dataset.spec(config), dataset)


@pytest.mark.parametrize(
    ("halflife_kimg", "images_shown", "share"),
    [
        (0.032, 10_000_000, 0.5),  # a batch of 32 is a half-life
        (0.064, 10_000_000, 0.5**0.5),
        (10, 640, 0.5),  # early on the half-life is 1/20 of the run so far
        (0, 10_000_000, 0),  # no average: the weights as they are
    ],
)
def test_averaged_weights_keep_half_of_what_they_were_after_a_half_life(
    halflife_kimg: float, images_shown: int, share: float
) -> None:
    subject = trainer(ema_halflife_kimg=halflife_kimg)
    subject.images_shown = images_shown
    with torch.no_grad():
        for old, new in zip(subject.generator_ema.parameters(), subject.generator.parameters(), strict=True):
            old.fill_(1)
            new.fill_(0)
    subject._average()
    for weight in subject.generator_ema.parameters():
        torch.testing.assert_close(weight, torch.full_like(weight, share), atol=1e-6, rtol=0)


@pytest.mark.parametrize("discriminator_steps", [1, 2])
def test_every_step_averages_the_weights_that_it_leaves(discriminator_steps: int) -> None:
    subject = trainer(ema_halflife_kimg=0.032, discriminator_steps=discriminator_steps)
    subject.images_shown = 6400  # the half-life, a batch of 32, is no longer 1/20 of the run
    before = copy.deepcopy(list(subject.generator_ema.parameters()))
    subject.step()
    averaged, current = subject.generator_ema.parameters(), subject.generator.parameters()
    for old, new, average in zip(before, current, averaged, strict=True):
        assert not torch.equal(old, new)
        kept = 0.5**discriminator_steps
        torch.testing.assert_close(average, kept * old + (1 - kept) * new, atol=1e-7, rtol=1e-6)


def test_what_is_served_has_the_averaged_weights() -> None:
    subject = trainer(generator_norm="none")
    with torch.no_grad():
        for weight in subject.generator_ema.parameters():
            weight.normal_()
    served, kept = subject.serving_generator().state_dict(), subject.checkpoint().generator_ema
    for name, weight in subject.generator_ema.named_parameters():
        assert torch.equal(served[name], weight)
        assert torch.equal(kept[name], weight)


def test_generated_images_have_the_labels_of_the_real_ones_they_are_shown_with() -> None:
    subject = trainer()
    shown: list[torch.Tensor] = []
    subject.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[1]))
    subject.step()
    of_discriminator, of_generator = shown
    assert torch.equal(of_discriminator[:32], of_discriminator[32:])
    assert torch.equal(of_generator, of_discriminator[:32])


def test_progress_counts_every_real_image() -> None:
    subject = trainer(discriminator_steps=3)
    subject.step()
    assert subject.images_shown == subject.images_a_step == 96
