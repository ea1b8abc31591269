"""The real side of every measure: three parts of the data, none of which shares an image with another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data import DataError, Dataset

LARGEST_PART = 10_000  # images of the reference, and of those held out
SHARE = 5  # one image in so many where there are fewer
FEWEST = 50  # images in all: the parts would say nothing below


@dataclass(frozen=True)
class RealImages:
    """The three parts depend on the data alone: who measures on the same data has the same images."""

    training: Dataset  # what the judge learns from
    reference: Dataset  # what generated images are compared with
    held_out: Dataset  # what classifiers are tested on, and what gives the distance of real from real
    test_given: bool  # held_out is the data's own test set, which no generator was trained on
    set_aside: int = 0  # so many images, the reference's first, were kept from the generators' training

    @property
    def seen(self) -> Dataset:
        """Images that the generators were trained on: training and reference, but for those set aside."""
        cut = len(self.reference.labels) + (0 if self.test_given else len(self.held_out.labels))
        training = rows_of(self.training, slice(max(0, self.set_aside - cut), None))
        return joined(training, rows_of(self.reference, slice(self.set_aside, None)))


def split_real(dataset: Dataset, test: Dataset | None = None, set_aside: int = 0) -> RealImages:
    """A fifth of each class, at most 10,000 in all, is the reference; without `test` as many are held out.

    Training sets images aside in the same order, which begins with the reference.

    Raises DataError for too few images, or a test set of other classes or sizes.
    """
    test = None if test is None else fitted(test, dataset)
    parts = 1 if test is not None else 2
    if len(dataset.labels) < FEWEST:
        raise DataError(f"{len(dataset.labels)} images: to measure a generator takes at least {FEWEST}")
    share = min(1 / SHARE, LARGEST_PART / len(dataset.labels))
    rows, place = interleaved(dataset.labels)
    cuts = np.searchsorted(place, [share, parts * share])
    reference, between, training = (rows_of(dataset, part) for part in np.split(rows, cuts))
    if test is None:
        return RealImages(training, reference, between, False, set_aside)
    held_out = rows_of(test, interleaved(test.labels)[0][:LARGEST_PART])
    return RealImages(training, reference, held_out, True, set_aside)


def interleaved(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Shuffled rows in which every class is spread evenly, and the place of each in its class, in (0, 1).

    So the first so many rows have each class as often as all of them have.
    """
    rows = np.random.default_rng(0).permutation(len(labels))
    place = np.empty(len(rows))
    for label in np.unique(labels):
        mine = labels[rows] == label
        place[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    order = np.argsort(place, kind="stable")
    return rows[order], place[order]


def rows_of(dataset: Dataset, rows: npt.NDArray[np.int64] | slice) -> Dataset:
    return Dataset(dataset.images[rows], dataset.labels[rows], dataset.class_names)


def joined(first: Dataset, second: Dataset) -> Dataset:
    images = np.concatenate([first.images, second.images])
    return Dataset(images, np.concatenate([first.labels, second.labels]), first.class_names)


def data_digest(dataset: Dataset) -> str:
    """sha256 of images, labels and classes, hexadecimal."""
    digest = hashlib.sha256(repr((dataset.images.shape, dataset.class_names)).encode())
    digest.update(np.ascontiguousarray(dataset.images).data)
    digest.update(np.ascontiguousarray(dataset.labels).data)
    return digest.hexdigest()


def fitted(test: Dataset, dataset: Dataset) -> Dataset:
    """The test set, its labels counted as the data's. Raises DataError where it does not fit."""
    if strangers := set(test.class_names) - set(dataset.class_names):
        raise DataError(
            f"the test set has the class {min(strangers)!r}, the data has {', '.join(dataset.class_names)}"
        )
    if test.images.shape[1:] != dataset.images.shape[1:]:
        raise DataError(
            f"the test set's images are {test.images.shape[1:]}, the data's {dataset.images.shape[1:]}"
        )
    index = np.array([dataset.class_names.index(name) for name in test.class_names])
    return Dataset(test.images, index[test.labels], dataset.class_names)
