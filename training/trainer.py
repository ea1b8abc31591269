"""The state of a run and what changes it: one step of training, its checkpoint, its restoration."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from generator.pixels import HALF_RANGE
from generator.spec import GeneratorSpec
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.losses import OBJECTIVES
from training.networks import (
    Discriminator,
    Generator,
    draw_latents,
    network_size,
    padding,
    reestimate_batch_norm,
)

NORM_BATCHES, NORM_BATCH = 32, 128  # images that batch-norm statistics are re-estimated on
# Options that shape networks or data: a checkpoint fits only the values it was made with.
FIXED_BY_CHECKPOINT = (
    "image_size", "fit", "channels", "latent_dim", "noise", "generator_width", "discriminator_width",
    "spectral_norm", "batch", "seed",
)  # fmt: skip


class StepLosses(NamedTuple):
    generator: Tensor  # scalar
    discriminator: Tensor  # scalar
    real_accuracy: Tensor  # share of real images that the discriminator takes for real
    fake_accuracy: Tensor  # share of generated images that it takes for generated


class Trainer:
    """Both networks, their optimizers, the averaged generator, and where in the data the run is.

    The order of the data depends on seed and progress alone, and all random state is in the checkpoint,
    so a resumed run continues as if it had never stopped.
    """

    def __init__(self, config: TrainConfig, spec: GeneratorSpec, dataset: Dataset) -> None:
        self.device = check_run(config, dataset)
        self.config, self.spec = config, spec
        torch.manual_seed(config.seed)
        self.rng = torch.Generator().manual_seed(config.seed)
        self.generator = Generator(spec, config.generator_width).to(self.device)
        self.discriminator = Discriminator(spec, config.discriminator_width, config.spectral_norm).to(
            self.device
        )
        for network in (self.generator, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.generator_optimizer = self._adam(self.generator, config.generator_lr)
        self.discriminator_optimizer = self._adam(self.discriminator, config.discriminator_lr)
        self.images_shown = 0
        self.images = _padded(dataset, network_size(spec.image_size))  # uint8 [N, C, size, size]
        self.labels = torch.from_numpy(dataset.labels)

    def _adam(self, network: torch.nn.Module, lr: float) -> torch.optim.Adam:
        betas = (self.config.beta1, self.config.beta2)
        return torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=True)

    def step(self) -> StepLosses:
        """One step of the discriminator, then one of the generator."""
        real, labels = self._next_batch()
        objective = OBJECTIVES[self.config.loss]
        count = len(real)

        fake_labels, latent, class_vector = self._draw(count)
        generated = self.generator(latent, class_vector)  # [N, C, size, size], serves both steps

        # One pass over real and generated images together: no layer of it looks across images.
        logits = self.discriminator(torch.cat([real, generated.detach()]), torch.cat([labels, fake_labels]))
        real_logits, fake_logits = logits[:count], logits[count:]
        discriminator_loss = objective.discriminator(real_logits, fake_logits)
        self.discriminator_optimizer.zero_grad()
        discriminator_loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        generator_loss = objective.generator(self.discriminator(generated, fake_labels))
        self.generator_optimizer.zero_grad()
        generator_loss.backward()  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)

        self.images_shown += count
        self._average()
        return StepLosses(
            generator_loss.detach(),
            discriminator_loss.detach(),
            (real_logits > 0).float().mean(),
            (fake_logits < 0).float().mean(),
        )

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        """The next real images, float32 [B, C, size, size] in [-1, 1], and labels int64 [B]."""
        batch = self.config.batch
        batches_per_epoch = len(self.labels) // batch
        epoch, position = divmod(self.images_shown // batch, batches_per_epoch)
        if position == 0 or not hasattr(self, "_order"):
            shuffle = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
            self._order = torch.randperm(len(self.labels), generator=shuffle)
        rows = self._order[position * batch : (position + 1) * batch]
        images = self.images[rows].to(self.device).float() / HALF_RANGE - 1
        if self.config.mirror:
            flip = torch.rand(batch, 1, 1, 1, generator=self.rng).to(self.device) < 0.5
            images = torch.where(flip, images.flip(3), images)
        images = images.contiguous(memory_format=torch.channels_last)
        return images, self.labels[rows].to(self.device)

    def _draw(self, count: int, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Labels int64 [N] as frequent as in the data, latents [N, D], one-hot class vectors [N, K]."""
        rng = rng or self.rng
        rows = torch.randint(len(self.labels), (count,), generator=rng)
        labels = self.labels[rows].to(self.device)
        latent = draw_latents(self.spec, count, rng).to(self.device)
        return labels, latent, one_hot(labels, self.spec.num_classes).float()

    @torch.no_grad()
    def _average(self) -> None:
        """The moving average of the generator's weights (Karras et al. 2018), faster in the beginning."""
        halflife = min(self.config.ema_halflife_kimg * 1000, self.images_shown * 0.05)
        decay = 0.5 ** (self.config.batch / max(halflife, 1e-8))
        averaged: list[Tensor] = list(self.generator_ema.parameters())
        current: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def serving_generator(self) -> Generator:
        """The averaged generator with batch-norm statistics of its own, on the CPU, to evaluate."""
        rng = torch.Generator().manual_seed(self.config.seed)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(NORM_BATCHES):
                yield self._draw(NORM_BATCH, rng)[1:]

        return reestimate_batch_norm(self.generator_ema, batches()).cpu()

    @property
    def finite(self) -> bool:
        """Whether every weight of both networks is a number."""
        weights = [*self.generator.parameters(), *self.discriminator.parameters()]
        return all(bool(weight.isfinite().all()) for weight in weights)

    def checkpoint(self) -> Checkpoint:
        """Everything needed to go on from here."""
        return Checkpoint(
            spec=self.spec,
            config=self.config,
            images_shown=self.images_shown,
            data_images=len(self.labels),
            generator_ema=self.serving_generator().state_dict(),
            training_state={
                "generator": self.generator.state_dict(),
                "generator_average": self.generator_ema.state_dict(),
                "discriminator": self.discriminator.state_dict(),
                "generator_optimizer": self.generator_optimizer.state_dict(),
                "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
                "random_state": self.rng.get_state(),
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint. Raises ConfigError where it does not fit the options or data."""
        for field in FIXED_BY_CHECKPOINT:
            wanted, made_with = getattr(self.config, field), getattr(checkpoint.config, field)
            if wanted != made_with:
                raise ConfigError(
                    f"--{field.replace('_', '-')} {wanted}: the checkpoint was made with {made_with}; "
                    "leave the option out, or start a new run"
                )
        if self.spec != checkpoint.spec:
            raise ConfigError(
                f"the data makes {self.spec}, the checkpoint was trained on {checkpoint.spec}: "
                "resume with the data that the run began with"
            )
        state = checkpoint.training_state
        self.generator.load_state_dict(state["generator"])
        self.generator_ema.load_state_dict(state["generator_average"])
        self.discriminator.load_state_dict(state["discriminator"])
        for name in ("generator", "discriminator"):
            optimizer = getattr(self, f"{name}_optimizer")
            optimizer.load_state_dict(state[f"{name}_optimizer"])
            for group in optimizer.param_groups:  # the options at hand count, not those of before
                group["lr"] = getattr(self.config, f"{name}_lr")
                group["betas"] = (self.config.beta1, self.config.beta2)
        self.rng.set_state(state["random_state"])
        self.images_shown = checkpoint.images_shown


def check_run(config: TrainConfig, dataset: Dataset) -> torch.device:
    """The device that a run will use. Raises ConfigError for options that data or machine do not allow."""
    if config.batch > len(dataset.labels):
        raise ConfigError(f"--batch {config.batch}: the data has {len(dataset.labels)} images; use fewer")
    return _device(config.device)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch finds no CUDA device here; use cpu or auto")
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"--device {name}: allowed are auto, cpu, cuda")
    return torch.device(name)


def _padded(dataset: Dataset, size: int) -> Tensor:
    """Images at the networks' size, edges repeated all around: uint8 [N, C, size, size]."""
    images = torch.from_numpy(dataset.images).permute(0, 3, 1, 2)  # [N, C, H, W]
    before, after = padding(dataset.images.shape[1], size)
    if before + after == 0:
        return images.contiguous()
    rows = torch.arange(-before, images.shape[2] + after).clamp(0, images.shape[2] - 1)
    return images[:, :, rows][:, :, :, rows].contiguous()
