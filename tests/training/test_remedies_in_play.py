"""That each remedy is in the step itself: what the discriminator saw, and which gradients both sides got."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot, softplus

from tests.conftest import GREY
from tests.training.test_game import PLAIN, Table
from training.config import TrainConfig
from training.game import Batch, Game
from training.networks import Discriminator, Generator
from training.packing import pack_images

# What the discriminator is shown in a step, pass by pass: real images, generated ones, or both.
PASSES = [
    ({}, "rg g"),
    ({"loss": "relativistic"}, "rg g r"),
    ({"unrolled_steps": 2}, "rg rg rg g"),
    ({"one_stage": True}, "rg"),
]


class Played(Table):
    """A table after one step, on images that are known, with both networks as they were before it."""

    def __init__(self, progress: float = 0, **options: Any) -> None:
        super().__init__(**options)
        self.real, noise = self.next_batch(), torch.randn(self.config.batch, 2, generator=self.rng)
        self.game.generate = lambda labels: self.generator(noise)
        self.noise, self.fake = noise, self.generator(noise).detach()
        self.generator_before = copy.deepcopy(self.generator)
        self.discriminator_before = copy.deepcopy(self.discriminator)
        self.stats = self.game.step(lambda: self.real, progress)

    def scores(self) -> tuple[Tensor, Tensor]:
        """What the discriminator said of real and of generated images."""
        return self.score(self.real.images), self.score(self.fake)

    def score(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator_before(pack_images(images, self.config.pack), self.real.labels)
        return logits

    def squared_slopes(self, images: Tensor) -> Tensor:
        """E[|dD/dx|^2], differentiable, over packs."""
        images = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.score(images).sum(), images, create_graph=True)
        return slope.square().sum() / (len(images) / self.config.pack)

    def discriminator_learnt_from(self, loss: Tensor) -> None:
        torch.testing.assert_close(self.stats.discriminator_loss, loss.detach())
        wanted = torch.autograd.grad(loss, list(self.discriminator_before.parameters()), allow_unused=True)
        for weight, gradient in zip(self.discriminator.parameters(), wanted, strict=True):
            expected = torch.zeros_like(weight) if gradient is None else gradient
            torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6)

    def generator_learnt_from(self, loss: Tensor) -> None:
        torch.testing.assert_close(self.stats.generator_loss, loss.detach())
        wanted = torch.autograd.grad(loss, list(self.generator_before.parameters()))
        for weight, gradient in zip(self.generator.parameters(), wanted, strict=True):
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("options", "passes"), PASSES, ids=str)
@pytest.mark.parametrize(("progress", "holes"), [(0, True), (1, False)])
def test_both_sides_see_every_image_augmented(
    options: dict[str, Any], passes: str, progress: float, holes: bool
) -> None:
    augment = {"augment": ("cutout",), "augment_probability": 1.0, "augment_probability_end": 0.0}
    config = TrainConfig(**PLAIN | augment | options)
    torch.manual_seed(0)
    generator, discriminator = Generator.of(GREY, config), Discriminator(GREY, config)
    seen: list[Tensor] = []
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    real = Batch(torch.ones(12, 1, 16, 16), torch.arange(12) % 3)
    latents, classes = torch.randn(12, GREY.latent_dim), one_hot(real.labels, 3).float()
    rng = torch.Generator().manual_seed(0)
    game = Game(config, generator, discriminator, lambda labels: generator(latents, classes), rng)
    game.step(lambda: real, progress)
    greys = (torch.cat(seen) == 0).sum((1, 2, 3))
    assert len(greys) == 12 * len(passes.replace(" ", ""))
    assert int(greys.min()) >= (16 if holes else 0)  # a corner of the square at least
    assert int(greys.max()) <= (64 if holes else 0)


@pytest.mark.parametrize(("options", "passes"), PASSES, ids=str)
@pytest.mark.parametrize(("progress", "deviation"), [(0, 0.4), (0.5, 0.2), (1, 0)])
def test_both_sides_see_every_image_through_noise(
    options: dict[str, Any], passes: str, progress: float, deviation: float
) -> None:
    played = Played(progress, instance_noise=0.4, batch=2000, **options)
    shown = {"r": played.real.images, "g": played.fake}
    seen = torch.chunk(torch.cat(played.seen), len(passes.replace(" ", "")))
    for images, letter in zip(seen, passes.replace(" ", ""), strict=True):
        noise = images - shown[letter]
        assert float(noise.std()) == pytest.approx(deviation, rel=0.05, abs=1e-6)
        assert float(noise.mean()) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("options", [{}, {"pack": 3}, {"one_stage": True}], ids=str)
@pytest.mark.parametrize(("r1", "r2"), [(0.5, 0.0), (0.0, 0.5), (0.3, 0.05)])
def test_r1_is_on_real_and_r2_on_generated_images(r1: float, r2: float, options: dict[str, Any]) -> None:
    played = Played(r1=r1, r2=r2, **options)
    real, fake = played.scores()
    loss = softplus(-real).mean() + softplus(fake).mean()
    penalty = (r1 * played.squared_slopes(played.real.images) + r2 * played.squared_slopes(played.fake)) / 2
    played.discriminator_learnt_from(loss + penalty)


@pytest.mark.parametrize(("progress", "gamma"), [(0, 0.5), (0.5, 0.3), (1, 0.1)])
def test_penalties_follow_their_schedule(progress: float, gamma: float) -> None:
    played = Played(progress, r1=0.5, r1_end=0.1)
    real, fake = played.scores()
    penalty = gamma / 2 * played.squared_slopes(played.real.images)
    played.discriminator_learnt_from(softplus(-real).mean() + softplus(fake).mean() + penalty)


def test_the_gradient_penalty_is_between_a_real_and_a_generated_image() -> None:
    played = Played(loss="wasserstein", gradient_penalty=5.0)
    _, between, _ = played.seen
    places = (between - played.real.images) / (played.fake - played.real.images)  # [12, 2]
    torch.testing.assert_close(places[:, 0], places[:, 1], rtol=0, atol=1e-3)
    assert 0 <= float(places.min()) < 0.3
    assert 0.7 < float(places.max()) <= 1
    between.requires_grad_()
    (slope,) = torch.autograd.grad(played.score(between).sum(), between, create_graph=True)
    real, fake = played.scores()
    played.discriminator_learnt_from(fake.mean() - real.mean() + 5 * (slope.norm(dim=1) - 1).square().mean())


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    on_real = binary_cross_entropy_with_logits(real, torch.full_like(real, 0.8))
    return on_real + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 0.8).square().mean() + fake.square().mean()) / 2


@pytest.mark.parametrize(
    ("loss", "smoothed"),
    [("saturating", cross_entropy), ("nonsaturating", cross_entropy), ("least-squares", least_squares)],
)
def test_smoothed_labels_are_what_the_discriminator_learns_from(
    loss: str, smoothed: Callable[[Tensor, Tensor], Tensor]
) -> None:
    played = Played(loss=loss, label_smoothing=0.2)
    played.discriminator_learnt_from(smoothed(*played.scores()))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_generator_learns_through_the_steps_that_the_discriminator_will_make(steps: int) -> None:
    played = Played(unrolled_steps=steps, discriminator_lr=0.02, beta1=0.5)
    fake = played.generator_before(played.noise)
    # The generator's step leaves the discriminator as its own step has made it.
    weights: dict[str, Tensor] = dict(played.discriminator.named_parameters())
    states = {name: played.game.discriminator_optimizer.state[weight] for name, weight in weights.items()}
    mean = {name: state["exp_avg"] for name, state in states.items()}
    square = {name: state["exp_avg_sq"] for name, state in states.items()}

    def score(images: Tensor) -> Tensor:
        logits: Tensor = functional_call(played.discriminator_before, weights, (images, played.real.labels))
        return logits

    for step in range(2, 2 + steps):
        loss = softplus(-score(played.real.images)).mean() + softplus(score(fake)).mean()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        for name, gradient in zip(list(weights), gradients, strict=True):
            mean[name] = 0.5 * mean[name] + 0.5 * gradient
            square[name] = 0.9 * square[name] + 0.1 * gradient.square()
            root = (square[name] / (1 - 0.9**step) + 1e-16).sqrt()
            weights[name] = weights[name] - 0.02 * mean[name] / (1 - 0.5**step) / root
    played.generator_learnt_from(softplus(-score(fake)).mean())


def test_half_of_what_the_discriminator_takes_for_generated_is_from_earlier_steps() -> None:
    table = Table(replay=24)
    generated: list[Tensor] = []

    def generate(labels: Tensor) -> Tensor:
        images = table.generate(labels)
        generated.append(images.detach())
        return images

    table.game.generate = generate
    for _ in range(5):  # 6 kept of each
        table.step()
    of_discriminator, of_generator = table.seen[::2], table.seen[1::2]
    assert all(map(torch.equal, of_generator, generated))
    taken = [seen[12:] for seen in of_discriminator]
    assert all(map(torch.equal, taken[:4], generated))
    assert torch.equal(taken[4][:6], generated[4][:6])
    kept = torch.cat([images[6:] for images in generated[:4]])
    assert set(map(tuple, taken[4][6:].tolist())) < set(map(tuple, kept.tolist()))
