"""Several processes, as torchrun starts them, train as one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.test_runs import TINY, run, wait_for, weights
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.team import Team, check_team

# Batch norm is left out: on CPUs each process normalises by its own share of a batch.
OPTIONS = [*TINY, "--threads", 1, "--generator-norm", "none", "--beta1", 0.5, "--mirror"]


def start(*arguments: object) -> subprocess.Popen[str]:
    """The command in two processes."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "training", *map(str, arguments)),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def torchrun(*arguments: object) -> str:
    """Runs it to its end; what it told."""
    process = start(*arguments)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    return told


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


def test_processes_that_are_stopped_save_where_they_are(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(*("--data", npz, "--out", out, "--total-kimg", 1e6, *TINY, "--checkpoint-kimg", 1e6))
    wait_for(out / "stats.jsonl", process)
    os.kill(process.pid, signal.SIGTERM)  # torchrun passes it on
    _, told = process.communicate(timeout=240)
    assert told.count("--resume") == 1
    assert Checkpoint.load(out).images_shown > 0
    assert json.loads((out / "summary.json").read_text())["ended"] == "stopped"


def test_shares_are_parts_of_a_whole() -> None:
    rows = torch.arange(12)
    assert torch.cat([Team(rank, 3).share(rows) for rank in range(3)]).equal(rows)


def test_a_batch_without_equal_shares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "here")  # as torchrun does
    monkeypatch.setenv("WORLD_SIZE", "3")
    check_team(TrainConfig(batch=63))
    with pytest.raises(ConfigError, match="--batch 64: 3 processes each take an equal share; use 63"):
        check_team(TrainConfig(batch=64))
