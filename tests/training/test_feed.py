"""The order of the data: by seed and place alone, each image once an epoch, whole over all processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.config import TrainConfig
from training.feed import Feed
from training.team import ALONE, Team

IMAGES, BATCH = 50, 8


def feed(team: Team = ALONE, ahead: bool | None = None, **options: Any) -> Feed:
    """Of images that are each of one value, its number, but for a first column of zeros."""
    images = torch.arange(IMAGES, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)
    images[..., 0] = 255
    config = TrainConfig(batch=BATCH, **options)
    return Feed(images, torch.arange(IMAGES), config, torch.device("cpu"), team, ahead)


def numbers(subject: Feed, batches: int) -> Tensor:
    return torch.cat([subject.next().labels for _ in range(batches)])


def test_an_epoch_shows_every_image_at_most_once_and_the_next_is_in_another_order() -> None:
    subject = feed()
    first, second = numbers(subject, 6), numbers(subject, 6)
    assert len(set(first.tolist())) == len(set(second.tolist())) == 48
    assert not first.equal(second)


def test_images_go_with_their_labels_and_are_in_range() -> None:
    batch = feed().next()
    assert batch.images.shape == (BATCH, 1, 4, 4)
    torch.testing.assert_close(batch.images[:, 0, 0, 1], batch.labels / 127.5 - 1)
    assert bool((batch.images[..., 0] == 1).all())


def test_a_feed_goes_on_from_any_place_as_if_it_had_come_there() -> None:
    whole, resumed = feed(mirror=True), feed(mirror=True, ahead=True)  # also where a thread brings them
    for _ in range(9):
        whole.next()
    resumed.seek(9 * BATCH)
    for _ in range(6):
        assert whole.next().images.equal(resumed.next().images)


def test_mirrored_images_are_about_half_and_others_stay() -> None:
    subject = feed(mirror=True)
    images = torch.cat([subject.next().images for _ in range(60)])
    left, right = images[..., 0] == 1, images[..., -1] == 1
    assert bool((left ^ right).all())
    assert 0.4 < float(right.float().mean()) < 0.6


def test_balanced_classes_are_equally_frequent_and_each_of_their_images_too() -> None:
    labels = torch.tensor([0] * 30 + [1] * 15 + [2] * 5)
    images = torch.arange(IMAGES, dtype=torch.uint8).view(-1, 1, 1, 1)
    config = TrainConfig(batch=10, balance=True)
    subject = Feed(images, labels, config, torch.device("cpu"), ALONE)
    for _ in range(2):
        batches = [subject.next() for _ in range(5)]
        assert torch.cat([batch.labels for batch in batches]).bincount().tolist() == [17, 17, 16]
        shown = torch.cat([batch.images for batch in batches]).flatten()
        counts = torch.round((shown + 1) * 127.5).long().bincount(minlength=IMAGES)
        for label in range(3):
            assert int(counts[labels == label].max() - counts[labels == label].min()) <= 1


def test_the_shares_of_all_processes_make_up_the_batch() -> None:
    whole, parts = feed(), [feed(Team(rank, 2)) for rank in range(2)]
    for _ in range(8):
        assert torch.cat([part.next().labels for part in parts]).equal(whole.next().labels)
