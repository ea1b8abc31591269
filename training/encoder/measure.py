"""How well images are found again: the generator's own, and real ones that it was not trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator import Generator
from generator.generator import Inversion
from generator.pixels import Pixels
from training.data import DataError, Dataset
from training.evaluation.steps import Report, Steps

OWN_SEED, SAMPLE_SEED = 2**31, 2**30  # of the first image that is to be found, and of the first sample
SAMPLES = 1000  # of each class: the nearest of them is what an inversion is measured by
PART = 50  # images between two signs of progress

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class InversionQuality:
    """Errors are the root mean square of an image's pixels, of 255, averaged over images."""

    images: int
    class_found: float  # share whose class the encoder tells
    nearest_sample: float  # error of the nearest of 1,000 random samples of the image's class
    error: float  # of the encoder's reconstruction
    refined_error: float  # after the steps of refinement
    refine: int  # steps

    @property
    def share(self) -> float:
        return self.error / self.nearest_sample

    @property
    def refined_share(self) -> float:
        return self.refined_error / self.nearest_sample

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share, "refined_share": self.refined_share}


def own_images(generator: Generator, count: int) -> Dataset:
    """Every class in turn, seeds that nothing else here has, without truncation."""
    names = generator.spec.class_names
    labels = np.arange(count, dtype=np.int64) % len(names)
    images = generator.images(labels.tolist(), range(OWN_SEED, OWN_SEED + count))
    return Dataset(images, labels, names)


def check_fits(dataset: Dataset, generator: Generator, data: str) -> None:
    """Raises DataError for real images that the generator could not have made."""
    spec = generator.spec
    shape = (spec.image_size, spec.image_size, spec.channels)
    if dataset.class_names != spec.class_names or dataset.images.shape[1:] != shape:
        raise DataError(
            f"{data} has images {dataset.images.shape[1:]} of {', '.join(dataset.class_names)}: this "
            f"generator makes {shape} of {', '.join(spec.class_names)}"
        )


def measure(
    generator: Generator, dataset: Dataset, refine: int, steps: Steps, title: str
) -> InversionQuality:
    """Finds each image without being told its class; raises EngineError for one without an encoder."""
    with steps.step(f"{title}: the nearest of {SAMPLES:,} samples") as report:
        nearest = _nearest(generator, dataset, report)
    plain = generator.invert(dataset.images, refine=0)
    with steps.step(f"{title}: {len(dataset.labels):,} found, {refine} steps each") as report:
        refined = _refined(generator, dataset.images, refine, report)
    return InversionQuality(
        images=len(dataset.labels),
        class_found=float(np.mean(plain.labels == dataset.labels)),
        nearest_sample=float(nearest.mean()),
        error=float(plain.errors.mean()),
        refined_error=float(refined.mean()),
        refine=refine,
    )


def _refined(generator: Generator, images: Pixels, refine: int, report: Report) -> npt.NDArray[np.float64]:
    parts: list[Inversion] = []
    for start in range(0, len(images), PART):
        parts.append(generator.invert(images[start : start + PART], refine))
        report(min(1.0, (start + PART) / len(images)))
    return np.concatenate([part.errors for part in parts])


def _nearest(generator: Generator, dataset: Dataset, report: Report) -> npt.NDArray[np.float64]:
    """The error of the nearest sample of each image's class, [N]."""
    nearest = np.empty(len(dataset.labels))
    for label in np.unique(dataset.labels):
        rows = np.flatnonzero(dataset.labels == label)
        samples = generator.images([int(label)] * SAMPLES, range(SAMPLE_SEED, SAMPLE_SEED + SAMPLES))
        flat = samples.reshape(SAMPLES, -1).astype(np.float32)
        for row in rows:
            squares = (flat - dataset.images[row].reshape(-1)) ** 2
            nearest[row] = np.sqrt(squares.mean(axis=1).min())
        report((int(label) + 1) / len(dataset.class_names))
    return nearest
