"""Several processes, as torchrun starts them, train as one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.test_runs import TINY, run, weights
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.team import Team, check_team

# Batch norm is left out: on CPUs each process normalises by its own share of a batch.
OPTIONS = [*TINY, "--threads", 1, "--generator-norm", "none", "--beta1", 0.5, "--mirror"]


def torchrun(*arguments: object) -> str:
    """Runs the command in two processes; what they told."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "training", *map(str, arguments)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_processes_come_to_what_one_comes_to_also_when_resumed(npz: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert run("--data", npz, "--out", alone, "--total-kimg", 0.32, *OPTIONS) == 0
    told = torchrun("--data", npz, "--out", together, "--total-kimg", 0.16, *OPTIONS)
    assert told.count("2 processes") == told.count("done:") == 1
    half = weights(together)
    torchrun("--resume", together, "--total-kimg", 0.32)
    torch.testing.assert_close(weights(together), weights(alone), rtol=1e-3, atol=1e-5)
    assert float((weights(together) - half).abs().max()) > 1e-3  # the second half was not nothing
    assert Checkpoint.load(together).images_shown == 320
    lines = {
        folder: [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
        for folder in (alone, together)
    }
    assert len(lines[alone]) == len(lines[together]) == 10
    for name in ("generator_loss", "discriminator_loss", "real_score", "discriminator_gradient"):
        assert [line[name] for line in lines[together]] == pytest.approx(
            [line[name] for line in lines[alone]], rel=1e-2, abs=1e-4
        )


def test_shares_are_parts_of_a_whole() -> None:
    rows = torch.arange(12)
    assert torch.cat([Team(rank, 3).share(rows) for rank in range(3)]).equal(rows)


def test_a_batch_without_equal_shares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    check_team(TrainConfig(batch=63))
    with pytest.raises(ConfigError, match="--batch 64: 3 processes each take an equal share; use 63"):
        check_team(TrainConfig(batch=64))
