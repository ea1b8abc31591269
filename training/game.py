"""One step of the game between two networks: the objective and every remedy, each in its place.

It knows neither data nor networks, only what they do: labels -> generated images; images, labels -> logits.
The trainer plays it with images, `training.modes` with points in the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from training.augment import augmented, with_noise
from training.config import TrainConfig
from training.evaluation.diversity import same_class_distances
from training.losses import objective
from training.one_stage import rescaled, slopes
from training.packing import pack_images, pack_labels
from training.regularizers import (
    Score,
    clip_weights,
    gradient_penalty,
    score_gradients,
    squared_norms,
    zero_centred_penalty,
)
from training.replay import Replay
from training.schedules import scheduled
from training.unrolling import unrolled


class Batch(NamedTuple):
    images: Tensor  # float32 [N, ...]
    labels: Tensor  # int64 [N]


class Judged(NamedTuple):
    """What the discriminator says of as many real as generated images in a step of its own."""

    real: Tensor  # logits [N / pack]
    fake: Tensor
    penalty: Tensor | float
    slope: Tensor | None  # dD/dx at the generated images, where the penalty needed it


class StepStats(NamedTuple):
    """What a step tells of itself, all scalars; those of the discriminator are its last step's."""

    generator_loss: Tensor
    discriminator_loss: Tensor  # penalties included
    discriminator_accuracy: Tensor  # share of pairs, real and generated, that it puts in the right order
    real_score: Tensor  # mean of D(x), logits
    fake_score: Tensor  # mean of D(G(z))
    generator_gradient: Tensor  # norm over all weights
    discriminator_gradient: Tensor
    real_spread: Tensor  # sum of the distances between real images of one class
    fake_spread: Tensor  # the same of generated ones, over as many pairs


class Game:
    """Two networks with an optimizer each, and the remedies that have a state.

    `generate` makes images of labels through the generator; `discriminator(images, labels)` gives logits.
    `learning` and `judging` are how the discriminator is run in its own steps and in the generator's, for a
    trainer that does so in another precision or in several processes.
    """

    def __init__(
        self,
        config: TrainConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        generate: Callable[[Tensor], Tensor],
        rng: torch.Generator,
        learning: Score | None = None,
        judging: Score | None = None,
    ) -> None:
        self.config, self.rng, self.generate = config, rng, generate
        self.generator, self.discriminator = generator, discriminator
        # Not `learning or discriminator`: a compiled network has no truth value.
        self.learning: Score = discriminator if learning is None else learning
        self.judging: Score = discriminator if judging is None else judging
        self.generator_optimizer = _adam(generator)
        self.discriminator_optimizer = _adam(discriminator)
        self.objective = objective(config.loss, 1 - config.label_smoothing)
        self.replay = Replay(config.replay) if config.replay else None

    def step(self, next_batch: Callable[[], Batch], progress: float) -> StepStats:
        """Discriminator steps, as many as asked for, then one of the generator; `progress` is 0 to 1."""
        self._schedule(progress)
        for left in reversed(range(self.config.discriminator_steps)):
            real = next_batch()
            is_last = left == 0  # it serves the generator's step too
            with torch.set_grad_enabled(is_last):
                generated = self.generate(real.labels)
            shown = generated.detach().requires_grad_(is_last and self.config.one_stage)
            judged, of_discriminator = self._step_discriminator(real, shown, progress)
        of_generator = (
            self._step_generator_along(judged, shown, generated)
            if self.config.one_stage
            else self._step_generator(real, generated, progress)
        )
        return StepStats(
            generator_loss=of_generator,
            generator_gradient=gradient_norm(self.generator),
            **of_discriminator,
            real_spread=same_class_distances(real.images, real.labels),
            fake_spread=same_class_distances(generated.detach(), real.labels),
        )

    def _step_discriminator(
        self, real: Batch, generated: Tensor, progress: float
    ) -> tuple[Judged, dict[str, Tensor]]:
        """What it said before the step, and its part of the statistics."""
        fake = Batch(generated, real.labels)
        if self.replay:
            fake = Batch(*self.replay.mix(*fake, self.rng))
        judged = self._judge(real, fake, progress)
        loss = self._discriminator_loss(judged.real, judged.fake) + judged.penalty
        self.discriminator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimizer.step()
        if self.config.weight_clip is not None:
            clip_weights(self.discriminator, self.config.weight_clip)
        margins = (judged.real - judged.fake).detach()
        return judged, {
            "discriminator_loss": loss.detach(),
            "discriminator_accuracy": (margins.sign().mean() + 1) / 2,  # a draw counts half
            "real_score": judged.real.detach().mean(),
            "fake_score": judged.fake.detach().mean(),
            "discriminator_gradient": gradient_norm(self.discriminator),
        }

    def _judge(self, real: Batch, fake: Batch, progress: float) -> Judged:
        """Logits of real and of generated images, and the penalties on their gradients."""
        config = self.config
        r1, r2 = (scheduled(config, name, progress) for name in ("r1", "r2"))
        images, labels = torch.cat([real.images, fake.images]), torch.cat([real.labels, fake.labels])
        if r1 > 0 or r2 > 0:
            images.requires_grad_()
        seen, labels = self._seen(images, progress), pack_labels(labels, config.pack)
        half = len(seen) // 2
        logits = self._logits(self.learning, seen, labels)
        penalty: Tensor | float = 0.0
        slope: Tensor | None = None
        if r1 > 0 or r2 > 0:
            gradients = score_gradients(logits, images)
            slope = gradients[len(real.images) :].detach()
            norms = squared_norms(gradients).view(-1, config.pack).sum(1)  # by pack
            penalty = r1 * zero_centred_penalty(norms[:half]) + r2 * zero_centred_penalty(norms[half:])
        if config.gradient_penalty:
            place = torch.rand(half, generator=self.rng, device=seen.device)
            distance = gradient_penalty(self.learning, seen[:half], seen[half:], labels[:half], place)
            penalty = penalty + config.gradient_penalty * distance
        return Judged(logits[:half], logits[half:], penalty, slope)

    def _discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.config.label_noise:
            draw = torch.rand(len(real_logits), generator=self.rng, device=real_logits.device)
            swapped = draw < self.config.label_noise
            real_logits, fake_logits = (
                torch.where(swapped, fake_logits, real_logits),
                torch.where(swapped, real_logits, fake_logits),
            )
        return self.objective.discriminator(real_logits, fake_logits)

    def _step_generator(self, real: Batch, generated: Tensor, progress: float) -> Tensor:
        config = self.config
        labels = pack_labels(real.labels, config.pack)
        seen = self._seen(generated, progress)
        self.discriminator.requires_grad_(False)
        score = self.judging
        if config.unrolled_steps:
            score = self._score_ahead(torch.cat([self._seen(real.images, progress), seen]), labels)
        fake_logits = score(seen, labels)
        real_logits = torch.zeros_like(fake_logits)
        if self.objective.generator_sees_real:
            real_logits = score(self._seen(real.images, progress), labels)
        loss = self.objective.generator(real_logits, fake_logits)
        self.generator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _step_generator_along(self, judged: Judged, shown: Tensor, generated: Tensor) -> Tensor:
        """Its step out of the pass that the discriminator has just learnt from.

        `shown` are the generated images apart from their graph, with the discriminator's gradient.
        """
        loss, had, wanted = slopes(self.objective, judged.real, judged.fake)
        if judged.slope is not None:
            gradient = rescaled(judged.slope, torch.ones_like(wanted), wanted)
        else:
            assert shown.grad is not None
            gradient = rescaled(shown.grad, had, wanted)
        self.generator_optimizer.zero_grad()
        generated.backward(gradient)  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()
        return loss

    def _score_ahead(self, seen: Tensor, labels: Tensor) -> Score:
        """The discriminator some steps from now; `seen` are real, then as many generated images."""
        labels = torch.cat([labels, labels])
        return unrolled(
            self.discriminator,
            self.discriminator_optimizer,
            lambda score: self._discriminator_loss(*self._logits(score, seen, labels).chunk(2)),
            self.config.unrolled_steps,
        )

    def _logits(self, score: Score, images: Tensor, labels: Tensor) -> Tensor:
        """Logits of as many real as generated images, in one pass where no layer looks across images."""
        if not (self.config.minibatch_kernels or self.config.discriminator_norm == "batch"):
            return score(images, labels)
        return torch.cat([score(i, y) for i, y in zip(images.chunk(2), labels.chunk(2), strict=True)])

    def _seen(self, images: Tensor, progress: float) -> Tensor:
        """Images as the discriminator sees them, [N / pack, pack C, ...]."""
        config = self.config
        if config.augment:
            probability = scheduled(config, "augment_probability", progress)
            images = augmented(images, config.augment, probability, self.rng)
        images = with_noise(images, scheduled(config, "instance_noise", progress), self.rng)
        return pack_images(images, config.pack)

    def _schedule(self, progress: float) -> None:
        """Learning rates and decays for the step to come."""
        betas = (self.config.beta1, scheduled(self.config, "beta2", progress))
        for optimizer, name in (
            (self.generator_optimizer, "generator_lr"),
            (self.discriminator_optimizer, "discriminator_lr"),
        ):
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = scheduled(self.config, name, progress), betas

    def state_dict(self) -> dict[str, Any]:
        """All that a game needs to go on, but for the random state."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "replay": self.replay.state_dict() if self.replay else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        if self.replay and state["replay"]:
            self.replay.load_state_dict(state["replay"])


def _adam(network: nn.Module) -> torch.optim.Adam:
    """Rates and decays are set before each step, by the schedule."""
    return torch.optim.Adam(network.parameters(), fused=True)


def gradient_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of the gradient over all weights, a scalar."""
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
