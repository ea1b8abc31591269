"""Tiny runs on drawn shapes that fail in the ways that games fail, and some that do not.

They fail by options that one may well set by mistake, so that what is seen is the failure itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import load_dataset
from training.loop import train
from training.monitors.alarms import Alarm, divergence
from training.run_folder import RunFolder

TINY: dict[str, Any] = {
    "data": "shapes", "latent_dim": 8, "generator_width": 8, "discriminator_width": 8, "batch": 32,
    "total_kimg": 6.4, "stats_kimg": 0.32, "checkpoint_kimg": 100, "ema_halflife_kimg": 0.5, "threads": 1,
    "generator_lr": 1e-3, "discriminator_lr": 1e-3,
}  # fmt: skip
HEALTHY: dict[str, dict[str, Any]] = {
    "hinge": {},
    "nonsaturating": {"loss": "nonsaturating"},
    "least-squares": {"loss": "least-squares"},
    "wgan-gp": {"loss": "wasserstein", "gradient_penalty": 10.0, "spectral_norm": False},
    "r3gan": {
        "loss": "relativistic", "r1": 0.5, "r2": 0.5, "spectral_norm": False, "generator_norm": "none",
    },
}  # fmt: skip
COLLAPSING: dict[str, Any] = {  # a WGAN-GP whose penalty weighs next to nothing: no slope bounds the critic
    "loss": "wasserstein", "gradient_penalty": 1e-6, "spectral_norm": False,
}  # fmt: skip
VANISHING = {  # the minimax game with a generator that hardly moves: soon no image fools the discriminator
    "loss": "saturating", "spectral_norm": False, "generator_lr": 1e-6, "discriminator_lr": 2e-3,
}  # fmt: skip
DIVERGING = COLLAPSING | {"generator_lr": 1e-4, "discriminator_lr": 5e-3}  # and the critic is the faster


@dataclass(frozen=True)
class Run:
    folder: Path
    alarms: list[Alarm]  # as they were told
    ended: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "stats.jsonl").read_text().splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content


def trained(folder: Path, options: dict[str, Any]) -> Run:
    config = TrainConfig(**TINY | options)
    alarms: list[Alarm] = []
    ended = train(config, load_dataset(config), RunFolder(folder), None, lambda *_: None, tell=alarms.append)
    return Run(folder, alarms, ended)


@pytest.mark.parametrize("objective", HEALTHY)
def test_a_healthy_run_raises_no_alarm(tmp_path: Path, objective: str) -> None:
    run = trained(tmp_path / "run", HEALTHY[objective])
    assert run.alarms == []
    assert run.summary["ended"] == run.ended == "finished"
    assert run.summary["alarms"] == []
    assert run.lines[-1]["diversity"] > 0.5


@pytest.mark.parametrize(
    ("kind", "options", "remedy"),
    [
        ("collapse", COLLAPSING, "--gradient-penalty 10"),
        ("vanishing gradient", VANISHING, "--loss nonsaturating"),
        ("divergence", DIVERGING, "lower --generator-lr"),
    ],
)
def test_a_run_made_to_fail_raises_its_alarm_once(
    tmp_path: Path, kind: str, options: dict[str, Any], remedy: str
) -> None:
    run = trained(tmp_path / "run", options)
    (alarm,) = [alarm for alarm in run.alarms if alarm.kind == kind]
    assert remedy in alarm.remedy
    assert alarm.value is not None
    assert alarm.bound is not None
    assert f"{alarm.value:.3g} (bound {alarm.bound:.3g})" in str(alarm)
    assert [line for line in run.lines if line.get("alarm") == kind] == [alarm.to_json()]
    assert alarm.to_json() in run.summary["alarms"]


def test_an_alarm_is_not_told_again_by_a_resumed_run(tmp_path: Path) -> None:
    first = trained(tmp_path / "run", VANISHING)
    assert [alarm.kind for alarm in first.alarms] == ["vanishing gradient"]
    config = TrainConfig(**TINY | VANISHING | {"total_kimg": 7.36})
    told: list[Alarm] = []
    checkpoint = Checkpoint.load(first.folder)
    train(
        config, load_dataset(config), RunFolder(first.folder), checkpoint, lambda *_: None, tell=told.append
    )
    assert told == []
    assert first.lines[-1]["kimg"] == 7.36
    assert [line.get("alarm") for line in first.lines].count("vanishing gradient") == 1
    assert [alarm["alarm"] for alarm in first.summary["alarms"]] == ["vanishing gradient"]


def test_gradients_diverge_where_they_grow_beyond_their_beginning_a_hundredfold() -> None:
    line = {"kimg": 1.0, "generator_loss": 1.0, "discriminator_loss": 1.0, "generator_gradient": 3.0}
    lines = [line | {"discriminator_gradient": 2.0}] * 5
    assert divergence([*lines, line | {"discriminator_gradient": 199.0}]) is None
    alarm = divergence([*lines, line | {"discriminator_gradient": 201.0}])
    assert alarm is not None
    assert (alarm.value, alarm.bound) == (201, 200)
    assert "discriminator's gradient" in alarm.sign
