"""Images that no step sees, and what the discriminator says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from training.config import TrainConfig
from training.data import Dataset, load_dataset
from training.evaluation.real import rows_of
from training.monitors.held_out import HeldOut, set_aside
from training.trainer import Trainer

SMALL: dict[str, Any] = {
    "data": "shapes", "latent_dim": 8, "generator_width": 4, "discriminator_width": 16, "batch": 32,
}  # fmt: skip


def pictures(dataset: Dataset) -> set[bytes]:
    return {image.tobytes() for image in dataset.images}


def test_a_twentieth_is_set_aside_and_no_image_is_on_both_sides() -> None:
    config = TrainConfig(**SMALL)
    dataset = load_dataset(config)
    training, held_out = set_aside(config, dataset, None)
    assert held_out is not None
    assert (len(training.labels), len(held_out.labels)) == (1900, 100)
    assert np.bincount(held_out.labels).tolist() == [25, 25, 25, 25]
    assert pictures(training) | pictures(held_out) == pictures(dataset)
    assert not pictures(training) & pictures(held_out)


def test_a_test_set_leaves_all_images_to_training() -> None:
    config = TrainConfig(**SMALL)
    dataset = load_dataset(config)
    test = rows_of(load_dataset(replace(config, seed=1)), slice(0, 2000, 10))
    training, held_out = set_aside(config, dataset, test)
    assert training is dataset
    assert held_out is not None
    assert pictures(held_out) == pictures(test)


@pytest.mark.parametrize("options", [{"held_out": 0}, {"held_out": 1990}, {"batch": 1950}])
def test_nothing_is_set_aside_where_the_options_say_so_or_leave_no_room(options: dict[str, Any]) -> None:
    config = TrainConfig(**SMALL | options)
    dataset = load_dataset(config)
    assert set_aside(config, dataset, None) == (dataset, None)


def test_a_discriminator_that_learns_by_heart_scores_what_it_never_saw_lower_and_stays_as_it_is() -> None:
    config = TrainConfig(**SMALL | {"spectral_norm": False, "discriminator_lr": 2e-3, "generator_lr": 1e-5})
    dataset = load_dataset(config)
    few, unseen = rows_of(dataset, slice(0, 2000, 40)), rows_of(dataset, slice(1, 2000, 40))
    trainer = Trainer(config, dataset.spec(config), few)
    subject = HeldOut(trainer, few, unseen)
    for _ in range(150):
        trainer.step()
    before = [tensor.clone() for tensor in trainer.discriminator.state_dict().values()]
    scores = subject.scores()
    assert scores["training_score"] - scores["held_out_score"] > 0.3
    after = trainer.discriminator.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert trainer.discriminator.training
