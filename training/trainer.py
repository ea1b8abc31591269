"""The state of a run and what changes it: one step of training, its checkpoint, its restoration."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from generator.pixels import HALF_RANGE
from generator.spec import GeneratorSpec
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.game import Batch, Game, StepLosses
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
    "generator_norm", "output", "conditioning", "spectral_norm", "discriminator_norm", "minibatch_kernels",
    "pack", "batch", "seed",
)  # fmt: skip


class Trainer:
    """Both networks, their optimizers, the averaged generator, and where in the data the run is.

    The order of the data depends on seed and progress alone, and all random state is in the checkpoint,
    so a resumed run continues as if it had never stopped.
    """

    def __init__(self, config: TrainConfig, spec: GeneratorSpec, dataset: Dataset) -> None:
        self.device = check_run(config, dataset)
        self.config, self.spec = config, spec
        torch.manual_seed(config.seed)
        self.rng = torch.Generator(self.device).manual_seed(config.seed)
        self.generator = Generator.of(spec, config).to(self.device)
        self.discriminator = Discriminator(spec, config).to(self.device)
        for network in (self.generator, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.game = Game(config, self.generator, self.discriminator, self._generate, self.rng)
        self.images_shown = 0
        self.images = _padded(dataset, network_size(spec.image_size))  # uint8 [N, C, size, size]
        self.labels = torch.from_numpy(dataset.labels)

    @property
    def images_a_step(self) -> int:
        """Real images shown in one step: a batch for each step of the discriminator."""
        return self.config.batch * self.config.discriminator_steps

    def step(self) -> StepLosses:
        """So many steps of the discriminator as asked for, then one of the generator."""
        losses = self.game.step(self._next_batch, self.images_shown / (self.config.total_kimg * 1000))
        self._average()
        return losses

    def _next_batch(self) -> Batch:
        """The next real images, float32 [B, C, size, size] in [-1, 1], and their labels."""
        batch = self.config.batch
        batches_per_epoch = len(self.labels) // batch
        epoch, position = divmod(self.images_shown // batch, batches_per_epoch)
        if position == 0 or not hasattr(self, "_order"):
            shuffle = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
            self._order = torch.randperm(len(self.labels), generator=shuffle)
        rows = self._order[position * batch : (position + 1) * batch]
        images = self.images[rows].to(self.device).float() / HALF_RANGE - 1
        if self.config.mirror:
            flip = torch.rand(batch, 1, 1, 1, generator=self.rng, device=self.device) < 0.5
            images = torch.where(flip, images.flip(3), images)
        images = images.contiguous(memory_format=torch.channels_last)
        self.images_shown += batch
        return Batch(images, self.labels[rows].to(self.device))

    def _generate(self, labels: Tensor) -> Tensor:
        """Images of labels [N] by the generator as it is, [N, C, size, size]."""
        images: Tensor = self.generator(
            draw_latents(self.spec, len(labels), self.rng), one_hot(labels, self.spec.num_classes).float()
        )
        return images

    @torch.no_grad()
    def _average(self) -> None:
        """The moving average of the generator's weights (Karras et al. 2018), faster in the beginning."""
        halflife = min(self.config.ema_halflife_kimg * 1000, self.images_shown * 0.05)
        decay = 0.5 ** (self.images_a_step / max(halflife, 1e-8))
        averaged: list[Tensor] = list(self.generator_ema.parameters())
        current: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def serving_generator(self) -> Generator:
        """The averaged generator with batch-norm statistics of its own, on the CPU, to evaluate."""
        rng = torch.Generator(self.device).manual_seed(self.config.seed)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(NORM_BATCHES):  # labels as frequent as in the data
                rows = torch.randint(len(self.labels), (NORM_BATCH,), generator=rng, device=self.device)
                labels = self.labels[rows.cpu()].to(self.device)
                yield draw_latents(self.spec, NORM_BATCH, rng), one_hot(labels, self.spec.num_classes).float()

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
                "game": self.game.state_dict(),
                "generator_average": self.generator_ema.state_dict(),
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
        self.game.load_state_dict(state["game"])
        self.generator_ema.load_state_dict(state["generator_average"])
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
