"""Images that no step sees, and what the discriminator says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from training.config import ConfigError, TrainConfig
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


@pytest.mark.parametrize("options", [{"held_out": 0}, {"batch": 1950}])
def test_nothing_is_set_aside_where_the_options_say_so_or_leave_no_room(options: dict[str, Any]) -> None:
    config = TrainConfig(**SMALL | options)
    dataset = load_dataset(config)
    assert set_aside(config, dataset, None) == (dataset, None)


def test_more_than_the_data_can_spare_is_refused() -> None:
    config = TrainConfig(**SMALL | {"held_out": 1990})
    with pytest.raises(ConfigError, match="--held-out 1990: of 2000 images 1 to 1968 can be set aside"):
        set_aside(config, load_dataset(config), None)


def test_a_discriminator_that_knows_its_images_by_heart_scores_those_it_never_saw_lower() -> None:
    config = TrainConfig(**SMALL | {"spectral_norm": False})
    noise = np.random.default_rng(0).integers(0, 256, (150, 16, 16, 1), dtype=np.uint8)
    known, others, unseen = (Dataset(part, np.arange(50) % 2, ("hiss", "hum")) for part in np.split(noise, 3))
    trainer = Trainer(config, known.spec(config), known)
    subject = HeldOut(trainer, known, unseen)
    before = subject.scores()
    optimizer = torch.optim.Adam(trainer.discriminator.parameters(), 2e-3)
    real, fake = (torch.from_numpy(part.images).permute(0, 3, 1, 2) / 127.5 - 1 for part in (known, others))
    labels = torch.from_numpy(known.labels)
    for _ in range(60):  # nothing but heart tells one noise from another
        optimizer.zero_grad()
        loss = softplus(trainer.discriminator(fake, labels) - trainer.discriminator(real, labels)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = subject.scores()
    gaps = [scores["training_score"] - scores["held_out_score"] for scores in (before, after)]
    assert gaps[1] > gaps[0] + 0.5


def test_asking_leaves_the_discriminator_as_it_is() -> None:
    config = TrainConfig(**SMALL)
    dataset = load_dataset(config)
    trainer = Trainer(config, dataset.spec(config), dataset)
    trainer.step()
    before = [tensor.clone() for tensor in trainer.discriminator.state_dict().values()]
    HeldOut(trainer, dataset, dataset).scores()
    after = trainer.discriminator.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert trainer.discriminator.training
