"""Overfitting: what the discriminator says of images that it learns from and of images that it never saw.

As long as it has learnt what the data look like, both score alike; once it knows its images by heart, those
it never saw score as generated ones do (Karras et al. 2020, section 3.1).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from generator.pixels import HALF_RANGE
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.evaluation.real import fitted, interleaved, rows_of
from training.networks import Discriminator, network_size
from training.packing import pack_images, pack_labels
from training.trainer import Trainer, padded

MOST = 512  # images on each side
SHARE = 20  # without a test set one image in so many is set aside,
FEWEST = 500  # if there are at least so many


def set_aside(config: TrainConfig, dataset: Dataset, test: Dataset | None) -> tuple[Dataset, Dataset | None]:
    """The images to train on, and those that no step sees: of the test set, or else a part of the data.

    None of them where the options say so, or where there are too few and the options do not say how many.
    Raises DataError for a test set of other classes or sizes, ConfigError for more than there are.
    """
    if config.held_out == 0:
        return dataset, None
    wanted = MOST if config.held_out is None else config.held_out
    if test is not None:
        test = fitted(test, dataset)
        return dataset, rows_of(test, interleaved(test.labels)[0][:wanted])
    images = len(dataset.labels)
    if config.held_out is None:
        wanted = min(MOST, images // SHARE) if images >= FEWEST else 0
    if not config.pack <= wanted <= images - config.batch:
        if config.held_out is not None:
            raise ConfigError(
                f"--held-out {wanted}: of {images} images {config.pack} to {images - config.batch} can be "
                "set aside, which leaves a batch; or 0 for none"
            )
        return dataset, None
    rows, _ = interleaved(dataset.labels)
    return rows_of(dataset, np.sort(rows[wanted:])), rows_of(dataset, rows[:wanted])


class HeldOut:
    """Asks the discriminator about as many images that it learns from as it never saw, always the same."""

    def __init__(self, trainer: Trainer, known: Dataset, unknown: Dataset) -> None:
        """Of images that it learns from, and of images that it does not."""
        self.trainer, self.pack = trainer, trainer.config.pack
        count = min(MOST, len(unknown.labels), len(known.labels)) // self.pack * self.pack
        known = rows_of(known, interleaved(known.labels)[0][:count])
        size = network_size(trainer.spec.image_size)
        parts = known, rows_of(unknown, slice(count))
        self._parts = [(padded(part, size), torch.from_numpy(part.labels)) for part in parts]

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """Mean logits of both; the discriminator stays as it is."""
        discriminator = self.trainer.discriminator
        discriminator.eval()  # else it would take a power iteration of spectral normalisation
        known, unknown = (self._score(discriminator, *part) for part in self._parts)
        discriminator.train()
        return {"training_score": known, "held_out_score": unknown}

    def _score(self, discriminator: Discriminator, pixels: Tensor, labels: Tensor) -> float:
        device = self.trainer.device
        images = (pixels.to(device).float() / HALF_RANGE - 1).contiguous(memory_format=torch.channels_last)
        packed = pack_images(images, self.pack), pack_labels(labels.to(device), self.pack)
        return round(float(discriminator(*packed).mean()), 5)
