from __future__ import annotations

import numpy as np
import pytest

from training.config import TrainConfig
from training.data import DataError, Dataset
from training.evaluation.real import data_digest, split_real
from training.monitors.held_out import set_aside

NAMES = ("a", "b", "c")


def numbered(count: int, first: int = 0) -> Dataset:
    """Images that tell their own number; of each ten one is of class b, and six of all are c."""
    labels = (np.arange(count) % 10 == 0).astype(np.int64)
    labels[[1, 2, 3, 4, 5, 6]] = 2
    numbers = np.arange(first, first + count)
    images = np.stack([numbers % 256, numbers // 256], 1).astype(np.uint8).reshape(count, 1, 2, 1)
    return Dataset(np.repeat(images, 2, axis=1), labels, NAMES)


def numbers(dataset: Dataset) -> list[int]:
    return [int(image[0, 0, 0]) + 256 * int(image[0, 1, 0]) for image in dataset.images]


def test_the_parts_are_the_data_cut_in_three_that_share_no_image() -> None:
    real = split_real(numbered(1000))
    parts = [real.training, real.reference, real.held_out]
    assert sorted(number for part in parts for number in numbers(part)) == list(range(1000))
    assert [len(part.labels) for part in parts] == pytest.approx([600, 200, 200], abs=2)
    assert not real.test_given
    assert sorted(numbers(real.seen)) == sorted(numbers(real.training) + numbers(real.reference))


@pytest.mark.parametrize("count", [0, 50, 300, 700])
def test_images_that_training_sets_aside_are_never_counted_as_seen(count: int) -> None:
    dataset = numbered(1000)
    config = TrainConfig(held_out=count)
    trained_on, aside = set_aside(config, dataset, None)
    for test in (None, numbered(90, first=1000)):
        real = split_real(dataset, test, len(aside.labels) if aside else 0)
        judged = set(numbers(real.training) + numbers(real.reference))
        assert set(numbers(real.seen)) == judged & set(numbers(trained_on))


def test_every_class_is_in_every_part_and_in_its_share_of_every_beginning() -> None:
    real = split_real(numbered(1000))
    for part in (real.training, real.reference, real.held_out):
        assert set(part.labels) == {0, 1, 2}
        assert np.bincount(part.labels[:100])[1] == pytest.approx(10, abs=1)


def test_a_data_set_has_one_split_only() -> None:
    assert numbers(split_real(numbered(300)).held_out) == numbers(split_real(numbered(300)).held_out)


def test_a_test_set_is_all_that_is_held_out() -> None:
    test = numbered(90, first=1000)
    real = split_real(numbered(1000), test)
    assert sorted(numbers(real.held_out)) == sorted(numbers(test))
    assert len(real.training.labels) == pytest.approx(800, abs=2)
    assert real.test_given


def test_large_data_keeps_ten_thousand_for_each_side() -> None:
    real = split_real(numbered(60_000))
    assert [len(p.labels) for p in (real.training, real.reference, real.held_out)] == pytest.approx(
        [40_000, 10_000, 10_000], abs=2
    )


def test_labels_of_a_test_set_are_counted_as_the_datas() -> None:
    dataset = numbered(100)
    test = Dataset(dataset.images[:4], np.array([1, 0, 1, 0]), ("a", "c"))
    held_out = split_real(dataset, test).held_out
    found = dict(zip(numbers(held_out), held_out.labels.tolist(), strict=True))
    assert found == {0: 2, 1: 0, 2: 2, 3: 0}


def test_a_test_set_that_does_not_fit_is_refused() -> None:
    dataset = numbered(100)
    with pytest.raises(DataError, match="class 'z'"):
        split_real(dataset, Dataset(dataset.images, dataset.labels, ("a", "b", "z")))
    with pytest.raises(DataError, match="test set's images are"):
        split_real(dataset, Dataset(dataset.images[:, :1, :1], dataset.labels, NAMES))


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="49 images"):
        split_real(numbered(49))


def test_the_digest_tells_images_labels_and_classes_apart() -> None:
    dataset = numbered(100)
    others = [
        Dataset(dataset.images[::-1], dataset.labels, NAMES),
        Dataset(dataset.images, dataset.labels[::-1], NAMES),
        Dataset(dataset.images, dataset.labels, ("a", "b", "d")),
    ]
    digests = {data_digest(one) for one in (dataset, *others)}
    assert len(digests) == 4
    assert data_digest(numbered(100)) in digests
