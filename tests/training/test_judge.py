from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import Arrays
from training.data import Dataset
from training.evaluation.classifier import Classifier, Protocol, build_network, train_classifier
from training.evaluation.judge import find_judge

SHORT = Protocol(epochs=1, fewest_steps=60)


@pytest.fixture(scope="module")
def dataset(arrays: Arrays) -> Dataset:
    return Dataset(arrays["images"][..., None], arrays["labels"], ("dark", "bright"))


def weights(classifier: Classifier) -> torch.Tensor:
    return torch.cat([weight.flatten().double() for weight in classifier.network.state_dict().values()])


def test_a_classifier_learns_to_tell_classes_apart(dataset: Dataset) -> None:
    classifier = train_classifier(dataset, SHORT)
    np.testing.assert_array_equal(classifier.classify(dataset.images), dataset.labels)
    features = classifier.features(dataset.images)
    assert features.shape == (96, 128)
    assert features.min() >= 0


def test_the_same_images_make_the_same_classifier_and_leave_random_numbers_alone(dataset: Dataset) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, other = train_classifier(dataset, SHORT), train_classifier(dataset, SHORT)
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)


def test_a_classifier_learns_from_the_first_images_that_its_protocol_allows(dataset: Dataset) -> None:
    first = Dataset(dataset.images[:40], dataset.labels[:40], dataset.class_names)
    of_all = train_classifier(dataset, Protocol(images=40, epochs=1, fewest_steps=5))
    of_first = train_classifier(first, Protocol(epochs=1, fewest_steps=5))
    torch.testing.assert_close(weights(of_all), weights(of_first), rtol=0, atol=0)


@pytest.mark.parametrize("size", [4, 12, 28, 64, 128])
def test_a_classifier_takes_images_of_every_size(size: int) -> None:
    network = build_network(size, 3, 5).eval()
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 5)


def test_a_judge_is_trained_once_for_the_same_images(dataset: Dataset, tmp_path: Path) -> None:
    heard: list[float] = []
    first = find_judge(dataset, dataset, SHORT, tmp_path, heard.append)
    assert heard[-1] == 1
    assert first.accuracy == 1
    heard.clear()
    again = find_judge(dataset, dataset, SHORT, tmp_path, heard.append)
    assert not heard
    torch.testing.assert_close(weights(again.classifier), weights(first.classifier), rtol=0, atol=0)
    others = Dataset(255 - dataset.images, dataset.labels, dataset.class_names)
    find_judge(others, others, SHORT, tmp_path, heard.append)
    assert heard  # other images, another judge
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kept_judge_that_is_damaged_is_trained_anew(dataset: Dataset, tmp_path: Path) -> None:
    find_judge(dataset, dataset, SHORT, tmp_path)
    (file,) = tmp_path.iterdir()
    for content in (b"", b"no weights", file.read_bytes()[:1000]):
        file.write_bytes(content)
        assert find_judge(dataset, dataset, SHORT, tmp_path).accuracy == 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
