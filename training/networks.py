"""The conditional DCGAN: generator, discriminator, and what is done to trained weights.

Radford, Metz, Chintala 2016 (DCGAN); Miyato and Koyama 2018 (projection discriminator); Mirza and Osindero
2014 (concatenation); Miyato et al. 2018 (spectral normalisation).
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
from training.config import MAX_NETWORK_SIZE, MIN_NETWORK_SIZE, Norm, Output, TrainConfig
from training.minibatch import MinibatchDiscrimination
from training.packing import pack_images, pack_labels

BASE_SIZE = 4  # pixels of the smallest feature map
MAX_WIDENING = 8  # feature maps grow to at most this many times the width
LEAK = 0.2  # slope of the discriminator's leaky ReLUs below 0
LEARNED = (nn.Linear, nn.Conv2d, nn.Embedding)  # layers of a discriminator with a weight
JOINT = 128  # features of a label's embedding, and of the layer that joins it to the image's


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

    def __init__(
        self,
        spec: GeneratorSpec,
        width: int,
        norm: Norm = "batch",
        output: Output = "tanh",
        class_gain: float = 1,
    ) -> None:
        super().__init__()
        widths = _widths(network_size(spec.image_size), width)[::-1]
        plain = norm == "none"  # then the layers themselves have biases
        self.output = output
        self.first = nn.Linear(spec.latent_dim + spec.num_classes, widths[0] * BASE_SIZE**2, bias=plain)
        self.first_norm = nn.Identity() if plain else nn.BatchNorm2d(widths[0])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=plain)
            for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.Identity() if plain else nn.BatchNorm2d(after) for after in widths[1:])
        self.last = nn.ConvTranspose2d(widths[-1], spec.channels, 4, stride=2, padding=1)
        for layer in [self.first, *self.up]:
            _initialise(layer, keeps_variance=plain)
        _initialise(self.last, keeps_variance=plain, slope=1)  # no ReLU after it
        with torch.no_grad():
            self.first.weight[:, spec.latent_dim :] *= class_gain

    @classmethod
    def of(cls, spec: GeneratorSpec, config: TrainConfig) -> Generator:
        """The generator that the options ask for."""
        return cls(spec, config.generator_width, config.generator_norm, config.output, config.class_gain)

    def forward(self, latent: Tensor, class_vector: Tensor) -> Tensor:
        hidden = self.first(torch.cat([latent, class_vector], dim=1))  # [N, C0 * 4 * 4]
        hidden = hidden.unflatten(1, (-1, BASE_SIZE, BASE_SIZE))  # [N, C0, 4, 4]
        hidden = torch.relu(self.first_norm(hidden))
        for up, norm in zip(self.up, self.norms, strict=True):
            hidden = torch.relu(norm(up(hidden)))  # [N, C / 2, 2 H, 2 W]
        hidden = self.last(hidden)  # [N, C, size, size]
        return torch.tanh(hidden) if self.output == "tanh" else torch.sigmoid(hidden) * 2 - 1


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
    """images [N, pack C, size, size] in [-1, 1] and labels int64 [N] or [N, pack] -> logits [N].

    Projection (Miyato and Koyama 2018, eq. 3): w . phi(x) + v_y . phi(x). Concatenation (Mirza and Osindero
    2014, section 4): a layer over phi(x) and an embedding of each label, then w.
    """

    def __init__(self, spec: GeneratorSpec, config: TrainConfig) -> None:
        super().__init__()
        widths = _widths(network_size(spec.image_size), config.discriminator_width)
        self.pack = config.pack
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1)
            for before, after in pairwise([spec.channels * config.pack, *widths])
        )
        normed = config.discriminator_norm == "batch"  # not the first layer, as in DCGAN
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) if normed and place else nn.Identity() for place, width in enumerate(widths)
        )
        features, kernels = widths[-1] * BASE_SIZE**2, config.minibatch_kernels
        self.compare = MinibatchDiscrimination(features, kernels) if kernels else nn.Identity()
        features += kernels
        self.joint: nn.Linear | None = None
        if config.conditioning == "concatenation":
            self.class_score = nn.Embedding(spec.num_classes, JOINT)
            self.joint = nn.Linear(features + config.pack * JOINT, JOINT)
            features = JOINT
        else:
            self.class_score = nn.Embedding(spec.num_classes, features)
        self.score = nn.Linear(features, 1)
        plain = not (config.spectral_norm or normed)
        hidden = [*self.down, *([self.joint] if self.joint else [])]
        for layer in [module for module in self.modules() if isinstance(module, LEARNED)]:
            _initialise(layer, keeps_variance=plain and layer in hidden, slope=LEAK)
            if config.spectral_norm:
                spectral_norm(layer)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        hidden = images
        for down, norm in zip(self.down, self.norms, strict=True):
            hidden = torch.nn.functional.leaky_relu(norm(down(hidden)), LEAK)  # [N, 2 C, H / 2, W / 2]
        features = self.compare(hidden.flatten(1))  # [N, F]
        of_class = self.class_score(labels)  # [N, F], or [N, JOINT] or [N, pack, JOINT]
        if self.joint is None:
            projection = (of_class * features).sum(1)  # [N]
            return cast(Tensor, self.score(features)).squeeze(1) + cast(Tensor, projection)
        joined = self.joint(torch.cat([features, of_class.flatten(1)], dim=1))  # [N, JOINT]
        return cast(Tensor, self.score(torch.nn.functional.leaky_relu(joined, LEAK))).squeeze(1)


def _initialise(layer: nn.Module, keeps_variance: bool, slope: float = 0) -> None:
    """N(0, 0.02) as in DCGAN, where a normalisation makes the scale good again; else He's, which needs none.

    He, Zhang, Ren, Sun 2015, eq. 15: standard deviation sqrt(2 / (1 + slope^2) / inputs), for layers whose
    result goes through a (leaky) ReLU of that slope. A transposed convolution of kernel 4 and stride 2 has a
    quarter of its weights at each output pixel.
    """
    weight = cast(Tensor, layer.weight)
    if not keeps_variance:
        nn.init.normal_(weight, std=0.02)
        return
    inputs = weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):
        inputs = weight.shape[0] * weight[0, 0].numel() // 4
    nn.init.normal_(weight, std=(2 / (1 + slope**2) / inputs) ** 0.5)
    nn.init.zeros_(cast(Tensor, layer.bias))


def draw_latents(spec: GeneratorSpec, count: int, rng: torch.Generator) -> Tensor:
    """Training noise, float32 [count, latent_dim], on the device of `rng`."""
    shape = count, spec.latent_dim
    if spec.noise == "uniform":
        return torch.rand(shape, generator=rng, device=rng.device) * 2 - 1
    return torch.randn(shape, generator=rng, device=rng.device)


@torch.no_grad()
def reestimate_batch_norm(generator: Generator, batches: Iterable[tuple[Tensor, Tensor]]) -> Generator:
    """A copy whose batch-norm statistics are the plain mean over batches of (latent, class_vector).

    Averaged weights need statistics of their own: those gathered in training belong to other weights.
    """
    copied = copy.deepcopy(generator).train()
    norms = [module for module in copied.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return copied.eval()
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
            images = torch.zeros(2 * module.pack, spec.channels, size, size)
            labels = torch.zeros(2 * module.pack, dtype=torch.long)
            module(pack_images(images, module.pack), pack_labels(labels, module.pack))
    for hook in hooks:
        hook.remove()
    return rows


def count_parameters(module: nn.Module) -> int:
    """Learned numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters())
