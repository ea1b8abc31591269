"""The state of a run and what changes it: one step of training, its checkpoint, its restoration."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from generator.spec import GeneratorSpec
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.evaluation.real import data_digest
from training.execution import placed, runner, set_up
from training.feed import Feed
from training.game import Batch, Game, StepStats
from training.networks import (
    Discriminator,
    Generator,
    draw_latents,
    network_size,
    padding,
    reestimate_batch_norm,
)
from training.team import ALONE, Team, check_team

NORM_BATCHES, NORM_BATCH = 32, 128  # images that batch-norm statistics are re-estimated on
# Options that shape networks or data: a checkpoint fits only the values it was made with.
FIXED_BY_CHECKPOINT = (
    "image_size", "fit", "channels", "latent_dim", "noise", "generator_width", "discriminator_width",
    "generator_norm", "output", "conditioning", "spectral_norm", "discriminator_norm", "minibatch_kernels",
    "pack", "batch", "seed",
)  # fmt: skip


class Trainer:
    """Both networks, their optimizers, the averaged generator, and where in the data the run is.

    The order of the data and all that is drawn at random depend on seed and progress alone, so a resumed run
    continues as if it had never stopped. In a team each process has its share of every batch.
    """

    def __init__(
        self, config: TrainConfig, spec: GeneratorSpec, dataset: Dataset, team: Team = ALONE
    ) -> None:
        self.device = check_run(config, dataset)
        self.config, self.spec, self.team = config, spec, team
        set_up(self.device)
        torch.manual_seed(config.seed)
        self.rng = torch.Generator(self.device)  # of latents: those of the whole batch, in every process
        self.own_rng = torch.Generator(self.device)  # of all else: each process draws its own
        self.generator, self.discriminator = Generator.of(spec, config), Discriminator(spec, config)
        self.generator_ema = copy.deepcopy(self.generator).to(self.device).requires_grad_(False)
        self.generator_ema.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for network in (self.generator, self.discriminator):
            placed(network, self.device, team)
        # Penalties on gradients differentiate twice, which compiled networks cannot.
        twice = any((config.gradient_penalty, config.r1, config.r1_end, config.r2, config.r2_end))
        judged = config.compile and not twice
        settings = config, self.device, team
        self._run_generator = runner(self.generator, *settings, compiled=config.compile, learns=True)
        self.game = Game(
            config,
            self.generator,
            self.discriminator,
            self._generate,
            self.own_rng,
            learning=runner(self.discriminator, *settings, compiled=judged, learns=True),
            judging=runner(self.discriminator, *settings, compiled=judged, learns=False),
        )
        self.images_shown = 0
        self.images = padded(dataset, network_size(spec.image_size))  # uint8 [N, C, size, size]
        self.labels, self.data_digest = torch.from_numpy(dataset.labels), data_digest(dataset)
        self.feed = Feed(self.images, self.labels, config, self.device, team)

    @property
    def images_a_step(self) -> int:
        """Real images shown in one step: a batch for each step of the discriminator."""
        return self.config.batch * self.config.discriminator_steps

    def step(self) -> StepStats:
        """So many steps of the discriminator as asked for, then one of the generator."""
        for stream, rng in ((0, self.rng), (1 + self.team.rank, self.own_rng)):
            rng.manual_seed(_mixed(self.config.seed, self.images_shown, stream))
        stats = self.game.step(self._next_batch, self.images_shown / (self.config.total_kimg * 1000))
        self._average()
        return stats

    def _next_batch(self) -> Batch:
        self.images_shown += self.config.batch
        return self.feed.next()

    def _generate(self, labels: Tensor) -> Tensor:
        """Images of labels [N] by the generator as it is, [N, C, size, size]."""
        latents = draw_latents(self.spec, len(labels) * self.team.size, self.rng)
        return self._run_generator(self.team.share(latents), one_hot(labels, self.spec.num_classes).float())

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
            frequent = torch.arange(self.spec.num_classes) if self.config.balance else self.labels
            for _ in range(NORM_BATCHES):  # labels as frequent as in training
                rows = torch.randint(len(frequent), (NORM_BATCH,), generator=rng, device=self.device)
                labels = frequent[rows.cpu()].to(self.device)
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
            data_digest=self.data_digest,
            generator_ema=self.serving_generator().state_dict(),
            training_state={
                "game": self.game.state_dict(),
                "generator_average": self.generator_ema.state_dict(),
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint. Raises ConfigError where it does not fit the options or data."""
        check_fits(checkpoint, self.config, self.spec, self.data_digest)
        state = checkpoint.training_state
        self.game.load_state_dict(state["game"])
        self.generator_ema.load_state_dict(state["generator_average"])
        self.images_shown = checkpoint.images_shown
        self.feed.seek(self.images_shown)


def check_run(config: TrainConfig, dataset: Dataset) -> torch.device:
    """The device that a run will use. Raises ConfigError for options that data or machine do not allow."""
    if config.batch > len(dataset.labels):
        raise ConfigError(f"--batch {config.batch}: the data has {len(dataset.labels)} images; use fewer")
    check_team(config)
    return _device(config.device)


def check_fits(checkpoint: Checkpoint, config: TrainConfig, spec: GeneratorSpec, digest: str) -> None:
    """Raises ConfigError where a run of these options on this data cannot go on from a checkpoint."""
    for field in FIXED_BY_CHECKPOINT:
        wanted, made_with = getattr(config, field), getattr(checkpoint.config, field)
        if wanted != made_with:
            raise ConfigError(
                f"--{field.replace('_', '-')} {wanted}: the checkpoint was made with {made_with}; "
                "leave the option out, or start a new run"
            )
    way_out = "resume with the data that the run began with, or start a new run"
    for field in ("class_names", "image_size", "channels"):
        found, had = getattr(spec, field), getattr(checkpoint.spec, field)
        if found != had:
            raise ConfigError(f"--data {config.data}: its {field} is {found}, the run's is {had}; {way_out}")
    if checkpoint.data_digest not in ("", digest):
        raise ConfigError(
            f"--data {config.data}: not the {checkpoint.data_images:,} images that the run has learnt from; "
            f"{way_out}. --held-out, too, must be as it was"
        )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch finds no CUDA device here; use cpu or auto")
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"--device {name}: allowed are auto, cpu, cuda")
    return torch.device(name)


def _mixed(*numbers: int) -> int:
    """A seed of 32 bits, of which torch's generator for CPUs takes no more."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def padded(dataset: Dataset, size: int) -> Tensor:
    """Images at the networks' size, edges repeated all around: uint8 [N, C, size, size]."""
    images = torch.from_numpy(dataset.images).permute(0, 3, 1, 2)  # [N, C, H, W]
    before, after = padding(dataset.images.shape[1], size)
    if before + after == 0:
        return images.contiguous()
    rows = torch.arange(-before, images.shape[2] + after).clamp(0, images.shape[2] - 1)
    return images[:, :, rows][:, :, :, rows].contiguous()
