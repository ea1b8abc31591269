"""A judge: a small classifier trained on real images, and what it says of generated ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generator.pixels import to_network
from training.data import Dataset

BATCH = 128
HELD_OUT = 10  # one image in so many is kept from the judge's training to measure it
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Judge:
    """A trained classifier and its accuracy on real images that it did not see."""

    network: nn.Module
    accuracy: float
    held_out: int  # images it was measured on

    @torch.no_grad()
    def classify(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """uint8 [N, H, W, C] -> class indices int64 [N]."""
        self.network.eval()
        batches = np.array_split(images, max(1, len(images) // 1000))
        labels = [self.network(_inputs(batch)).argmax(1).numpy() for batch in batches]
        return np.concatenate(labels)


def train_judge(
    dataset: Dataset, epochs: int, seed: int = 0, report: Callable[[float], None] = lambda share: None
) -> Judge:
    """Trains a classifier on nine images in ten; `report` hears the share that is done."""
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(dataset.labels))
    held_out, kept = np.split(order, [max(1, len(order) // HELD_OUT)])
    network = _network(dataset.images.shape[3], len(dataset.class_names))
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    batch = min(BATCH, len(kept))
    steps = epochs * (len(kept) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        place = step % (len(kept) // batch)
        if place == 0:
            rng.shuffle(kept)
        rows = kept[place * batch : (place + 1) * batch]
        loss = cross_entropy(
            network(_inputs(dataset.images[rows])),
            torch.from_numpy(dataset.labels[rows]),
            label_smoothing=0.05,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        report((step + 1) / steps)
    judge = Judge(network, 0.0, len(held_out))
    right = judge.classify(dataset.images[held_out]) == dataset.labels[held_out]
    return Judge(network, float(right.mean()), len(held_out))


def _inputs(images: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W] in [-1, 1]."""
    return torch.from_numpy(to_network(images)).permute(0, 3, 1, 2)


def _network(channels: int, num_classes: int) -> nn.Sequential:
    def block(before: int, after: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]

    network = nn.Sequential(
        *block(channels, 32, 2),  # [N, 32, H / 2, W / 2]
        *block(32, 64, 1),
        *block(64, 128, 2),  # [N, 128, H / 4, W / 4]
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * 16, num_classes),
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
