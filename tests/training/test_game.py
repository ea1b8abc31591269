"""One step of the game: what each remedy changes in it, and that a game goes on from its state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.game import Batch, Game
from training.minibatch import MinibatchDiscrimination
from training.modes.networks import PointDiscriminator, PointGenerator
from training.packing import pack_images, pack_labels
from training.replay import Replay

PLAIN: dict[str, Any] = {
    "loss": "nonsaturating", "spectral_norm": False, "conditioning": "concatenation", "latent_dim": 2,
    "generator_width": 8, "discriminator_width": 8, "batch": 12, "generator_norm": "none",
}  # fmt: skip


class Table:
    """A game on points, and what its discriminator was shown."""

    def __init__(self, **options: Any) -> None:
        config = TrainConfig(**PLAIN | options)
        torch.manual_seed(0)
        self.config, self.rng = config, torch.Generator().manual_seed(0)
        self.generator, self.discriminator = PointGenerator(config), PointDiscriminator(config)
        self.seen: list[Tensor] = []
        self.discriminator.register_forward_pre_hook(lambda _, inputs: self.seen.append(inputs[0].detach()))
        self.game = Game(config, self.generator, self.discriminator, self.generate, self.rng)
        self.batches = 0

    def generate(self, labels: Tensor) -> Tensor:
        points: Tensor = self.generator(torch.randn(len(labels), 2, generator=self.rng))
        return points

    def next_batch(self) -> Batch:
        self.batches += 1
        count = self.config.batch
        return Batch(3 + torch.randn(count, 2, generator=self.rng), torch.zeros(count, dtype=torch.long))

    def step(self, progress: float = 0) -> None:
        self.game.step(self.next_batch, progress)

    def weights(self) -> Tensor:
        networks: list[nn.Module] = [self.generator, self.discriminator]
        return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])


REMEDIES: list[dict[str, Any]] = [
    {"loss": "relativistic", "r1": 0.1, "r2": 0.1, "r1_end": 0.0},
    {"loss": "wasserstein", "gradient_penalty": 1.0, "discriminator_steps": 3},
    {"loss": "wasserstein", "weight_clip": 0.1},
    {"loss": "hinge", "spectral_norm": True, "unrolled_steps": 2},
    {"pack": 3, "minibatch_kernels": 4, "label_smoothing": 0.1},
    {"replay": 24, "label_noise": 0.2, "instance_noise": 0.3},
    {"one_stage": True, "loss": "relativistic", "r1": 0.1, "r2": 0.1, "discriminator_steps": 2},
]


@pytest.mark.parametrize("options", REMEDIES, ids="-".join)
def test_a_game_goes_on_from_its_state_as_if_it_had_never_stopped(options: dict[str, Any]) -> None:
    whole = Table(**options)
    for step in range(6):
        whole.step(step / 6)
    first = Table(**options)
    for step in range(3):
        first.step(step / 6)
    second = Table(**options)
    second.game.load_state_dict(first.game.state_dict())
    second.rng.set_state(first.rng.get_state())
    for step in range(3, 6):
        second.step(step / 6)
    assert torch.equal(second.weights(), whole.weights())


@pytest.mark.parametrize("options", REMEDIES, ids="-".join)
def test_both_sides_learn(options: dict[str, Any]) -> None:
    table = Table(**options)
    before = [p.detach().clone() for p in (*table.generator.parameters(), *table.discriminator.parameters())]
    table.step()
    after = [*table.generator.parameters(), *table.discriminator.parameters()]
    moved = [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
    assert sum(moved) >= len(moved) - 1  # a difference of scores leaves the last bias where it is
    assert all(bool(parameter.isfinite().all()) for parameter in after)


def test_so_many_discriminator_steps_see_a_batch_each() -> None:
    table = Table(discriminator_steps=4)
    table.step()
    assert table.batches == 4


def test_a_clipped_critic_stays_within_its_box() -> None:
    table = Table(loss="wasserstein", weight_clip=0.05)
    table.step()
    assert max(float(p.detach().abs().max()) for p in table.discriminator.parameters()) <= 0.05 + 1e-9


def test_two_learning_rates_go_to_their_own_networks() -> None:
    table = Table(generator_lr=1e-4, discriminator_lr=4e-4, discriminator_lr_end=1e-4)
    table.step(progress=1)
    rates = [
        optimizer.param_groups[0]["lr"]
        for optimizer in (table.game.generator_optimizer, table.game.discriminator_optimizer)
    ]
    assert rates == pytest.approx([1e-4, 1e-4])
    table.step(progress=0)
    assert table.game.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(4e-4)


def test_a_pack_is_judged_as_one() -> None:
    images, labels = torch.arange(24.0).view(6, 1, 2, 2), torch.arange(6)
    packed = pack_images(images, 3)
    assert packed.shape == (2, 3, 2, 2)
    assert torch.equal(packed[1, 2], images[5, 0])
    assert pack_labels(labels, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    table = Table(pack=3)
    table.step()
    assert [tuple(seen.shape) for seen in table.seen] == [(8, 6), (4, 6)]  # 4 real and 4 generated; 4


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"loss": loss}
            for loss in ("saturating", "nonsaturating", "linear", "least-squares", "relativistic")
        ),
        {"loss": "wasserstein", "gradient_penalty": 1.0},
        {"loss": "relativistic", "r1": 0.1, "r2": 0.1},
        {"loss": "nonsaturating", "r1": 0.1, "pack": 3},
        {"loss": "least-squares", "pack": 3, "label_smoothing": 0.1},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_in_one_stage_the_generator_has_the_gradient_that_a_pass_of_its_own_would_give(
    options: dict[str, Any],
) -> None:
    table = Table(one_stage=True, **options)
    noise = torch.randn(12, 2, generator=table.rng)
    real = Batch(3 + torch.randn(12, 2, generator=table.rng), torch.zeros(12, dtype=torch.long))
    table.game.generate = lambda labels: table.generator(noise)
    before = copy.deepcopy((table.generator, table.discriminator))
    table.game.step(lambda: real, progress=0)
    assert len(table.seen) == (2 if table.config.gradient_penalty else 1)

    generator, discriminator = before
    labels, pack = pack_labels(real.labels, table.config.pack), table.config.pack
    scores = [discriminator(pack_images(seen, pack), labels) for seen in (real.images, generator(noise))]
    table.game.objective.generator(scores[0].detach(), scores[1]).backward()  # type: ignore[no-untyped-call]
    for learnt, expected in zip(table.generator.parameters(), generator.parameters(), strict=True):
        torch.testing.assert_close(learnt.grad, expected.grad, rtol=1e-4, atol=1e-6)


def test_minibatch_discrimination_tells_a_collapsed_batch_from_a_varied_one() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(features=6, kernels=4)
    varied = 5 * torch.randn(10, 6)
    collapsed = varied[:1].expand(10, -1)
    closeness = {name: layer(batch)[:, 6:] for name, batch in (("varied", varied), ("same", collapsed))}
    torch.testing.assert_close(closeness["same"], torch.full((10, 4), 9.0))  # exp(0) for each of the others
    assert closeness["varied"].mean().item() < 2
    assert torch.equal(layer(varied)[:, :6], varied)


@pytest.mark.parametrize("steps_ahead", [0, 2])
@pytest.mark.parametrize("options", [{"minibatch_kernels": 4}, {"discriminator_norm": "batch"}], ids=str)
def test_where_images_are_compared_real_and_generated_are_judged_apart(
    options: dict[str, Any], steps_ahead: int
) -> None:
    table = Table(unrolled_steps=steps_ahead, **options)
    table.step()
    assert [len(seen) for seen in table.seen] == [12, 12] * (1 + steps_ahead) + [12]


def draws(count: int) -> Callable[[], tuple[Tensor, Tensor]]:
    number = iter(range(10_000))

    def draw() -> tuple[Tensor, Tensor]:
        numbers = torch.tensor([next(number) for _ in range(count)])
        return numbers.float()[:, None], numbers

    return draw


def test_half_of_what_is_replayed_comes_from_earlier_and_keeps_its_labels() -> None:
    replay, rng, draw = Replay(20), torch.Generator().manual_seed(0), draws(10)
    for _ in range(4):  # 5 kept of each
        images, labels = draw()
        assert torch.equal(replay.mix(images, labels, rng)[0], images)
    images, labels = draw()
    mixed, mixed_labels = replay.mix(images, labels, rng)
    assert torch.equal(mixed[:5], images[:5])
    assert float(mixed[5:].max()) < 40 <= float(images.min())
    assert torch.equal(mixed[:, 0].long(), mixed_labels)
    assert replay.images is not None
    assert len(replay.images) == 20
    assert set(images[5:, 0].tolist()) < set(replay.images[:, 0].tolist())


def test_noisy_labels_change_sides_as_often_as_asked() -> None:
    table = Table(label_noise=0.25)
    sure = torch.full((40_000,), 30.0)  # right, each costs nothing; changed, each side costs 30
    loss = table.game._discriminator_loss(sure, -sure)
    assert float(loss) == pytest.approx(0.25 * 60, rel=0.03)
