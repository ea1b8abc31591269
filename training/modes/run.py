"""One run: a recipe learns a mixture with one seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import TrainConfig
from training.game import Batch, Game
from training.modes.mixtures import JUDGED_POINTS, Coverage, Mixture, coverage
from training.modes.networks import PointDiscriminator, PointGenerator

LATENTS_SEED = 2**32 - 1  # of the latents that generated points are shown and judged with


@dataclass(frozen=True)
class Players:
    """Both networks, to be looked at between steps."""

    generator: PointGenerator
    discriminator: PointDiscriminator
    config: TrainConfig

    @torch.no_grad()
    def points(self, count: int) -> Tensor:
        """Generated points [count, 2], of the same latents each time."""
        rng = torch.Generator().manual_seed(LATENTS_SEED)
        self.generator.eval()
        points: Tensor = self.generator(torch.randn(count, self.config.latent_dim, generator=rng))
        self.generator.train()
        return points

    @torch.no_grad()
    def opinion(self, points: Tensor, mixture: Mixture) -> Tensor:
        """What the discriminator thinks of points [N, 2]: logits [N]. In a pack their company is real."""
        rng = torch.Generator().manual_seed(LATENTS_SEED)
        company = mixture.draw(len(points) * (self.config.pack - 1), rng).view(len(points), -1)
        packs = torch.cat([points, company], dim=1)  # [N, 2 pack]
        self.discriminator.eval()  # else it would take a power iteration of spectral normalisation
        logits: Tensor = self.discriminator(packs, torch.zeros(len(points), dtype=torch.long))
        self.discriminator.train()
        return logits


@dataclass(frozen=True)
class Outcome:
    coverage: Coverage
    seconds: float


def play(
    config: TrainConfig,
    mixture: Mixture,
    steps: int,
    look: Callable[[int, Players], None] = lambda step, players: None,
) -> Outcome:
    """Trains for so many generator steps; `look` sees the players before each step and at the end."""
    torch.manual_seed(config.seed)
    rng = torch.Generator().manual_seed(config.seed)
    players = Players(PointGenerator(config), PointDiscriminator(config), config)
    labels = torch.zeros(config.batch, dtype=torch.long)  # one class: the game is without conditions

    def generate(labels: Tensor) -> Tensor:
        points: Tensor = players.generator(torch.randn(len(labels), config.latent_dim, generator=rng))
        return points

    game = Game(config, players.generator, players.discriminator, generate, rng)
    began = time.perf_counter()
    for step in range(steps):
        look(step, players)
        game.step(lambda: Batch(mixture.draw(config.batch, rng), labels), step / steps)
    look(steps, players)
    return Outcome(coverage(players.points(JUDGED_POINTS), mixture), time.perf_counter() - began)
