"""The conditional DCGAN: generator, projection discriminator, and what is done to trained weights.

Radford, Metz, Chintala 2016 (DCGAN); Miyato and Koyama 2018 (projection discriminator); Miyato et al. 2018
(spectral normalisation).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from generator.pixels import HALF_RANGE
from generator.spec import GeneratorSpec
from training.config import MAX_NETWORK_SIZE, MIN_NETWORK_SIZE

BASE_SIZE = 4  # pixels of the smallest feature map
MAX_WIDENING = 8  # feature maps grow to at most this many times the width


def network_size(image_size: int) -> int:
    """The size in pixels at which networks work: the next of 16, 32, 64, 128. Raises ValueError above."""
    size = MIN_NETWORK_SIZE
    while size < image_size:
        size *= 2
    if size > MAX_NETWORK_SIZE:
        raise ValueError(
            f"{image_size} pixels: networks make up to {MAX_NETWORK_SIZE}; resize with --image-size"
        )
    return size


def padding(image_size: int, size: int) -> tuple[int, int]:
    """Pixels added before and after each axis for training; the exported graph crops them off again."""
    before = (size - image_size) // 2
    return before, size - image_size - before


def _widths(size: int, width: int) -> list[int]:
    """Feature maps of each hidden layer, from the layer at size / 2 down to the one at BASE_SIZE."""
    halvings = (size // BASE_SIZE).bit_length() - 1
    return [width * min(2**step, MAX_WIDENING) for step in range(halvings)]


class Generator(nn.Module):
    """latent [N, latent_dim] and class_vector [N, num_classes] -> images [N, C, size, size] in [-1, 1].

    `size` is the network's; the graph that is exported crops to the spec's image_size.
    """

    def __init__(self, spec: GeneratorSpec, width: int) -> None:
        super().__init__()
        widths = _widths(network_size(spec.image_size), width)[::-1]
        self.first = nn.Linear(spec.latent_dim + spec.num_classes, widths[0] * BASE_SIZE**2, bias=False)
        self.first_norm = nn.BatchNorm2d(widths[0])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
            for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in widths[1:])
        self.last = nn.ConvTranspose2d(widths[-1], spec.channels, 4, stride=2, padding=1)
        for layer in [self.first, *self.up, self.last]:
            nn.init.normal_(cast(Tensor, layer.weight), std=0.02)

    def forward(self, latent: Tensor, class_vector: Tensor) -> Tensor:
        hidden = self.first(torch.cat([latent, class_vector], dim=1))  # [N, C0 * 4 * 4]
        hidden = hidden.unflatten(1, (-1, BASE_SIZE, BASE_SIZE))  # [N, C0, 4, 4]
        hidden = torch.relu(self.first_norm(hidden))
        for up, norm in zip(self.up, self.norms, strict=True):
            hidden = torch.relu(norm(up(hidden)))  # [N, C / 2, 2 H, 2 W]
        return torch.tanh(cast(Tensor, self.last(hidden)))  # [N, C, size, size] in [-1, 1]


class Generation(nn.Module):
    """The whole of generation: a generator, then the way to finished pixels. This is what is exported.

    latent [N, latent_dim], class_vector [N, num_classes] -> uint8 [N, image_size, image_size, C].
    """

    def __init__(self, generator: Generator, spec: GeneratorSpec) -> None:
        super().__init__()
        self.generator = generator
        self.crop, _ = padding(spec.image_size, network_size(spec.image_size))
        self.image_size = spec.image_size

    def values(self, latent: Tensor, class_vector: Tensor) -> Tensor:
        """The tensor before rounding, float32 [N, image_size, image_size, C] in [-1, 1]."""
        images: Tensor = self.generator(latent, class_vector)  # [N, C, size, size]
        end = self.crop + self.image_size
        return images[:, :, self.crop : end, self.crop : end].permute(0, 2, 3, 1)

    def forward(self, latent: Tensor, class_vector: Tensor) -> Tensor:
        pixels = (self.values(latent, class_vector) + 1) * HALF_RANGE
        return pixels.round().clamp(0, 255).to(torch.uint8)


class Discriminator(nn.Module):
    """images [N, C, size, size] in [-1, 1] and labels int64 [N] -> logits [N].

    The projection of Miyato and Koyama 2018, eq. 3: w . phi(x) + v_y . phi(x).
    """

    def __init__(self, spec: GeneratorSpec, width: int, use_spectral_norm: bool) -> None:
        super().__init__()
        widths = [spec.channels, *_widths(network_size(spec.image_size), width)]
        features = widths[-1] * BASE_SIZE**2
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.score = nn.Linear(features, 1)
        self.class_score = nn.Embedding(spec.num_classes, features)
        for layer in [*self.down, self.score, self.class_score]:
            nn.init.normal_(cast(Tensor, layer.weight), std=0.02)
            if use_spectral_norm:
                spectral_norm(layer)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        hidden = images
        for down in self.down:
            hidden = torch.nn.functional.leaky_relu(down(hidden), 0.2)  # [N, 2 C, H / 2, W / 2]
        features = hidden.flatten(1)  # [N, F]
        projection = (self.class_score(labels) * features).sum(1)  # [N]
        return cast(Tensor, self.score(features)).squeeze(1) + cast(Tensor, projection)


def draw_latents(spec: GeneratorSpec, count: int, rng: torch.Generator) -> Tensor:
    """Training noise, float32 [count, latent_dim]."""
    if spec.noise == "uniform":
        return torch.rand(count, spec.latent_dim, generator=rng) * 2 - 1
    return torch.randn(count, spec.latent_dim, generator=rng)


@torch.no_grad()
def reestimate_batch_norm(generator: Generator, batches: Iterable[tuple[Tensor, Tensor]]) -> Generator:
    """A copy whose batch-norm statistics are the plain mean over batches of (latent, class_vector).

    Averaged weights need statistics of their own: those gathered in training belong to other weights.
    """
    copied = copy.deepcopy(generator).train()
    norms = [module for module in copied.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = cast(float, None)  # None: cumulative average
    for latent, class_vector in batches:
        copied(latent, class_vector)
    for norm in norms:
        norm.momentum = 0.1
    return copied.eval()


def layer_shapes(module: Generator | Discriminator, spec: GeneratorSpec) -> list[tuple[str, str, int]]:
    """(layer, output shape, parameters) for each layer, found by running a batch of two."""
    rows: list[tuple[str, str, int]] = []

    def note(name: str) -> object:
        def hook(layer: nn.Module, _: object, output: Tensor) -> None:
            shape = " x ".join(str(n) for n in output.shape[1:])
            rows.append((name, shape, count_parameters(layer)))

        return hook

    kinds = (nn.Linear, nn.ConvTranspose2d, nn.Conv2d, nn.BatchNorm2d, nn.Embedding)
    hooks = [
        layer.register_forward_hook(note(name))  # type: ignore[arg-type]
        for name, layer in module.named_modules()
        if isinstance(layer, kinds)
    ]
    size = network_size(spec.image_size)
    with torch.no_grad():
        if isinstance(module, Generator):
            module(torch.zeros(2, spec.latent_dim), torch.zeros(2, spec.num_classes))
        else:
            module(torch.zeros(2, spec.channels, size, size), torch.zeros(2, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return rows


def count_parameters(module: nn.Module) -> int:
    """Learned numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters())
