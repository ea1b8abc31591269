"""The encoder: an image -> the latent and the class of which a generator makes it."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from generator.pixels import HALF_RANGE
from generator.spec import GeneratorSpec

WIDTHS = (32, 64, 128)  # feature maps, the last repeated
SMALLEST_MAP = 4  # pixels: layers halve the image until it is no larger
LEAK = 0.2


class Encoder(nn.Module):
    """images [N, C, H, W] in [-1, 1] -> latent [N, latent_dim], class logits [N, num_classes]."""

    def __init__(self, spec: GeneratorSpec, features: int) -> None:
        super().__init__()
        side = spec.image_size
        widths: list[int] = [spec.channels]
        while side > SMALLEST_MAP:
            widths.append(WIDTHS[min(len(widths), len(WIDTHS)) - 1])
            side //= 2
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.LeakyReLU(LEAK)]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * side**2, features, bias=False)]
        self.body = nn.Sequential(*layers, nn.BatchNorm1d(features), nn.LeakyReLU(LEAK))
        self.latent = nn.Linear(features, spec.latent_dim)
        self.logits = nn.Linear(features, spec.num_classes)
        self.is_bounded = spec.noise == "uniform"  # then no latent has a component beyond 1

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)  # [N, F]
        latent = cast(Tensor, self.latent(features))
        return torch.tanh(latent) if self.is_bounded else latent, self.logits(features)


class Encoding(nn.Module):
    """The whole of encoding: from finished pixels to a latent and each class's probability.

    uint8 [N, H, W, C] -> float32 [N, latent_dim], float32 [N, num_classes]. This is what is exported.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        values = images.to(torch.float32) / HALF_RANGE - 1
        latent, logits = self.encoder(values.permute(0, 3, 1, 2))
        return latent, torch.softmax(logits, dim=1)
