from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from training.data import Dataset
from training.evaluation import copying
from training.evaluation.copying import (
    PIXELS,
    CopyCheck,
    find_neighbours,
    pixel_blocks,
    pixel_vectors,
    rows_to_show,
)
from training.evaluation.neighbour_picture import draw_neighbours
from training.evaluation.spaces import Space

Pixels = npt.NDArray[np.uint8]


def noise(count: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 1), dtype=np.uint8)


def brightness(images: Pixels) -> Tensor:
    return torch.from_numpy(images.mean((1, 2, 3)))[:, None].float()


@pytest.fixture
def check() -> CopyCheck:
    """Of 400 training images and 300 held-out ones, which are all noise."""
    space = Space("brightness", "brightness", brightness)

    def dataset(count: int, seed: int) -> Dataset:
        return Dataset(noise(count, seed), np.arange(count) % 2, ("a", "b"))

    return CopyCheck(dataset(400, 0), dataset(300, 1), space)


def test_neighbours_are_the_nearest_of_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BLOCK", 7)
    queries, training = noise(5, 2), noise(30, 3)
    found = find_neighbours(pixel_vectors(queries), pixel_blocks(training), count=3)
    distances = np.linalg.norm(
        (queries[:, None].astype(float) - training[None]).reshape(5, 30, -1) / 255, axis=2
    )
    np.testing.assert_array_equal(found.rows.numpy(), distances.argsort(1)[:, :3])
    np.testing.assert_allclose(found.distances.numpy(), np.sort(distances, 1)[:, :3], rtol=1e-5)


def test_a_generator_that_copies_is_seen_and_one_that_does_not_is_not(check: CopyCheck) -> None:
    copies = check.training.images[200:]
    slightly_changed = (copies.astype(int) + np.random.default_rng(4).integers(0, 3, copies.shape)).clip(
        0, 255
    )
    assert check.near_shares(copies)[PIXELS] == 1
    assert check.near_shares(slightly_changed.astype(np.uint8))[PIXELS] == 1
    assert check.near_shares(noise(400, 5))[PIXELS] < 0.05


def test_the_picture_shows_a_row_of_each_class_and_the_nearest_of_all(check: CopyCheck) -> None:
    images = np.concatenate([noise(20, 6), check.training.images[:1], noise(20, 7)])
    labels = np.arange(41) % 2
    near = check.neighbours(images)[PIXELS]
    assert rows_to_show(near, labels, [0, 1], 1) == [0, 1, 20]  # 20 is a copy
    assert near.rows[20, 0] == 0
    picture = draw_neighbours(images, labels, check, "noise")
    assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 20
