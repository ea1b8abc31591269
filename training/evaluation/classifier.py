"""A small convolutional classifier, trained by a fixed protocol: on real images it judges, on generated ones
it tells what can be learned from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generator.pixels import Pixels, to_network
from training.data import Dataset

BATCH = 128
LEARNING_RATE = 2e-3
LABEL_SMOOTHING = 0.05
FEATURES = 128  # of the layer before the classes: what distances are measured in
SMALLEST_MAP = 8  # pixels: layers halve the image until it is no larger
WIDTHS = (32, 64, 128)  # feature maps, the last repeated


@dataclass(frozen=True)
class Protocol:
    """How a classifier is trained, the same on real and on generated images."""

    images: int = 50_000  # the first so many
    epochs: int = 5
    fewest_steps: int = 400  # of 128 images: few images are shown more often
    seed: int = 0


FULL = Protocol()
QUICK = Protocol(images=10_000, epochs=4, fewest_steps=200)


class Classifier:
    """A trained network: uint8 images [N, H, W, C] -> classes, or the features before them."""

    def __init__(self, network: nn.Sequential) -> None:
        self.network = network.eval()

    def classify(self, images: Pixels) -> npt.NDArray[np.int64]:
        """Class indices, int64 [N]."""
        labels: npt.NDArray[np.int64] = self._run(self.network, images).argmax(1).numpy()
        return labels

    def features(self, images: Pixels) -> Tensor:
        """float32 [N, 128], none below 0."""
        return self._run(self.network[0], images)

    @staticmethod
    @torch.no_grad()
    def _run(network: nn.Module, images: Pixels) -> Tensor:
        return torch.cat(
            [network(_inputs(batch)) for batch in np.array_split(images, len(images) // 500 + 1)]
        )


def train_classifier(
    dataset: Dataset, protocol: Protocol, report: Callable[[float], None] = lambda share: None
) -> Classifier:
    """The same images, protocol and threads make the same classifier; `report` hears the share done."""
    with torch.random.fork_rng(devices=[]):  # a run of training goes on with its own random numbers
        torch.manual_seed(protocol.seed)
        network = build_network(dataset.images.shape[1], dataset.images.shape[3], len(dataset.class_names))
        _train(network, dataset, protocol, report)
    return Classifier(network)


def _train(
    network: nn.Sequential, dataset: Dataset, protocol: Protocol, report: Callable[[float], None]
) -> None:
    rng = np.random.default_rng(protocol.seed)
    rows = rng.permutation(min(len(dataset.labels), protocol.images))
    batch = min(BATCH, len(rows))
    per_epoch = len(rows) // batch
    steps = max(protocol.epochs * per_epoch, protocol.fewest_steps)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    network.train()
    for step in range(steps):
        place = step % per_epoch
        if place == 0:
            rng.shuffle(rows)
        chosen = rows[place * batch : (place + 1) * batch]
        loss = cross_entropy(
            network(_inputs(dataset.images[chosen])),
            torch.from_numpy(dataset.labels[chosen]),
            label_smoothing=LABEL_SMOOTHING,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        report((step + 1) / steps)


def _inputs(images: Pixels) -> Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W] in [-1, 1]."""
    return torch.from_numpy(to_network(images)).permute(0, 3, 1, 2)


def build_network(size: int, channels: int, num_classes: int) -> nn.Sequential:
    """[0]: images [N, C, size, size] -> features [N, 128]; [1]: features -> logits [N, num_classes]."""

    def block(before: int, after: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]

    layers = block(channels, WIDTHS[0], 2) + block(WIDTHS[0], WIDTHS[1], 1)
    side, width = -(-size // 2), WIDTHS[1]
    while side > SMALLEST_MAP or width < WIDTHS[-1]:
        layers += block(width, WIDTHS[-1], 2)
        side, width = -(-side // 2), WIDTHS[-1]
    layers += block(width, width, 1)
    body = nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(WIDTHS[-1] * 16, FEATURES),
        nn.BatchNorm1d(FEATURES),
        nn.ReLU(),
    )
    head = nn.Sequential(nn.Dropout(0.3), nn.Linear(FEATURES, num_classes))
    network = nn.Sequential(body, head)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
