"""Whole runs of the command, killed, stopped and resumed."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import GREY, untrained
from training.__main__ import main
from training.checkpoint import Checkpoint, CheckpointError
from training.config import ConfigError, TrainConfig
from training.presets import PRESETS

TINY = [
    *("--latent-dim", "4", "--generator-width", "2", "--discriminator-width", "2", "--batch", "16"),
    *("--stats-kimg", "0.032", "--checkpoint-kimg", "0.16"),
]


def run(*arguments: object) -> int:
    """The command's exit code, in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "training", *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_for(file: Path, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def weights(folder: Path) -> torch.Tensor:
    state = Checkpoint.load(folder).training_state["game"]
    return torch.cat([t.float().flatten() for t in {**state["generator"], **state["discriminator"]}.values()])


def test_a_run_leaves_configuration_statistics_sheets_and_a_checkpoint(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.32, *TINY) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.pt",
        "config.json",
        "sheet-000000-kimg.png",
        "stats.jsonl",
        "stats.png",
        "summary.json",
    ]
    stats = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in stats] == pytest.approx([0.032 * n for n in range(1, 11)])
    assert stats[0].keys() == {
        "kimg", "images_per_s", "data_wait", "generator_loss", "discriminator_loss", "discriminator_accuracy",
        "real_score", "fake_score", "generator_gradient", "discriminator_gradient", "diversity",
    }  # fmt: skip
    assert all(0 <= line["data_wait"] < 1 and 0 <= line["discriminator_accuracy"] <= 1 for line in stats)
    assert json.loads((out / "summary.json").read_text()) == {
        "ended": "finished", "kimg": 0.32, "last": stats[-1], "alarms": [],
    }  # fmt: skip
    checkpoint = Checkpoint.load(out)
    assert checkpoint.images_shown == 320
    assert checkpoint.data_images == 96
    assert json.loads((out / "config.json").read_text()) == checkpoint.config.to_json()


REMEDIES = [  # everything with a state or a schedule of its own
    *("--loss", "nonsaturating", "--r1", 1, "--r1-end", 0.1, "--r2", 1, "--no-spectral-norm", "--replay", 48),
    *(
        "--instance-noise",
        0.3,
        "--generator-lr-end",
        1e-5,
        "--beta2-end",
        0.99,
        "--label-noise",
        0.1,
        "--mirror",
    ),
    *("--augment", "colour", "translation", "cutout", "--augment-probability", 0),
    *("--augment-probability-end", 0.5, "--generator-norm", "none", "--conditioning", "concatenation"),
]


@pytest.mark.parametrize("remedies", [[], REMEDIES], ids=["defaults", "remedies"])
def test_a_killed_run_resumes_and_ends_as_if_it_had_never_stopped(
    npz: Path, tmp_path: Path, remedies: list[object]
) -> None:
    options = ["--data", npz, "--total-kimg", 2.4, "--threads", 1, *TINY, *remedies]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run("--out", whole, *options) == 0
    process = start("--out", killed, *options)
    wait_for(killed / "checkpoint.pt", process)
    process.kill()
    process.communicate()
    shown = Checkpoint.load(killed).images_shown
    assert 0 < shown < 2400
    assert run("--resume", killed) == 0
    torch.testing.assert_close(weights(killed), weights(whole), rtol=0, atol=0)
    lines = [json.loads(line) for line in (killed / "stats.jsonl").read_text().splitlines()]
    kimg = [line["kimg"] for line in lines if "alarm" not in line]
    assert kimg == sorted(set(kimg))
    assert len(kimg) == 75


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_where_it_is(npz: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    process = start("--data", npz, "--out", out, "--total-kimg", 1e6, *TINY, "--checkpoint-kimg", 1e6)
    wait_for(out / "stats.jsonl", process)
    time.sleep(0.5)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"--resume" in errors
    assert Checkpoint.load(out).images_shown > 0


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run("--preset", "smoke", "--data", npz, "--out", tmp_path / "run", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "generator_width" in shown
    assert "1 x 16 x 16" in shown
    assert "dark, bright" in shown
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/nowhere"], "/nowhere does not exist"),
        (["--preset", "smoke", "--batch", "1"], "--batch 1: allowed are 2 to 65536"),
        (["--preset", "smoke", "--batch", "4000"], "--batch 4000: the data has 2000 images"),
        (["--preset", "smoke", "--image-size", "300"], "--image-size 300: allowed are 4 to 128"),
        (["--preset", "smoke", "--device", "cuda"], "--device cuda: torch finds no CUDA device"),
        (["--resume", "/nowhere"], "no checkpoint at /nowhere"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert run("--out", tmp_path / "run", *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--no-such-option", "--loss=magic", "--latent-dim=many"])
def test_an_unknown_option_or_value_is_refused(option: str) -> None:
    assert run("--preset", "smoke", option) == 2


def test_a_run_never_overwrites_another(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", npz, "--out", tmp_path / "run", "--total-kimg", 0.16, *TINY]
    assert run(*options) == 0
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    assert run(*options) == 2
    assert "--resume" in capsys.readouterr().err
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


def test_resuming_goes_on_longer_but_not_with_other_networks(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    assert run("--resume", out, "--generator-width", 3) == 2
    assert "--generator-width 3: the checkpoint was made with 2" in capsys.readouterr().err
    assert run("--resume", out, "--total-kimg", 0.32) == 0
    assert Checkpoint.load(out).images_shown == 320


def test_a_resumed_run_goes_on_where_it_was(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    assert run("--resume", out, "--out", tmp_path / "other") == 2
    assert "leave it out" in capsys.readouterr().err
    assert run("--resume", out / "checkpoint.pt", "--total-kimg", 0.2) == 0
    assert Checkpoint.load(out).images_shown == 208


def test_a_run_is_not_resumed_with_other_data(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "run", tmp_path / "other.npz"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    before = (out / "checkpoint.pt").read_bytes()
    with np.load(npz) as arrays:
        content = dict(arrays)
    np.savez(other, **content | {"images": content["images"][::-1]})
    assert run("--resume", out, "--data", other, "--total-kimg", 0.32) == 2
    assert "not the" in (told := " ".join(capsys.readouterr().err.split()))
    assert "resume with the data that the run began with" in told
    np.savez(other, **content | {"class_names": content["class_names"][::-1]})
    assert run("--resume", out, "--data", other, "--total-kimg", 0.32) == 2
    assert "its class_names is" in capsys.readouterr().err
    assert (out / "checkpoint.pt").read_bytes() == before


def test_an_earlier_checkpoint_never_overwrites_what_was_learnt_since(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    earlier = out / "best.pt"
    earlier.write_bytes((out / "checkpoint.pt").read_bytes())
    assert run("--resume", out, "--total-kimg", 0.32) == 0
    assert run("--resume", earlier, "--total-kimg", 0.2) == 2
    assert "which would be written over" in " ".join(capsys.readouterr().err.split())
    assert Checkpoint.load(out).images_shown == 320
    alone = tmp_path / "alone"
    alone.mkdir()
    earlier.rename(alone / "best.pt")
    assert run("--resume", alone / "best.pt", "--total-kimg", 0.2) == 0
    assert Checkpoint.load(alone).images_shown == 208


def test_a_damaged_line_of_statistics_does_not_keep_a_run_from_going_on(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    lines = (out / "stats.jsonl").read_text().splitlines(keepends=True)
    (out / "stats.jsonl").write_text("".join([lines[0], lines[1][:9] + "\n", *lines[2:], lines[0][:9]]))
    assert run("--resume", out, "--total-kimg", 0.32) == 0
    kept = [json.loads(line)["kimg"] for line in (out / "stats.jsonl").read_text().splitlines()]
    assert kept == sorted(kept)
    assert len(kept) == 9


@pytest.mark.parametrize("name", ["[/y]", "[red] dog"])
def test_names_in_brackets_are_told_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run("--data", tmp_path / name) == 2
    assert name in capsys.readouterr().err


def test_the_record_never_names_data_that_was_not_used(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--preset", "smoke", "--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    config = Checkpoint.load(out).config
    assert (config.data_name, config.data_licence) == ("data", "not stated")


def test_weights_that_are_no_numbers_never_overwrite_a_checkpoint(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.32, *TINY) == 0
    before = (out / "checkpoint.pt").read_bytes()
    checkpoint = Checkpoint.load(out)
    checkpoint.training_state["game"]["discriminator"]["score.bias"].fill_(float("nan"))
    checkpoint.save(out / "broken.pt")
    (out / "broken.pt").replace(out / "checkpoint.pt")
    assert run("--resume", out, "--total-kimg", 0.64) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "no longer numbers at 0.3 kimg: the checkpoint of 0.3 kimg is kept" in told
    assert told.count("NaN at 0.336 kimg: a loss, a gradient or a weight is no number any more") == 1
    (event,) = [
        line for line in map(json.loads, (out / "stats.jsonl").read_text().splitlines()) if "alarm" in line
    ]
    assert (event["alarm"], event["kimg"], event["value"]) == ("NaN", 0.336, None)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ended"] == "diverged"
    assert summary["alarms"] == [event]
    assert Checkpoint.load(out).images_shown == 320
    assert (out / "checkpoint.pt").read_bytes() != before


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one_whole_and_nothing_half(
    tmp_path: Path,
) -> None:
    file = tmp_path / "checkpoint.pt"
    untrained(GREY, "grey").save(file)
    before, limits = file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"checkpoint\.pt could not be written, what was there before is kept"
        ):
            untrained(GREY, "grey").save(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    untrained(GREY, "grey").save(file)
    whole = file.read_bytes()
    for content in (b"", b"no checkpoint", whole[:-2000], whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt is damaged"):
            Checkpoint.load(file)


def test_a_checkpoint_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    untrained(GREY, "x").save(tmp_path / "checkpoint.pt")
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    changes: list[dict[str, object]] = [{"mintage_checkpoint": 9}, {"spec": {}}, {"config": {"lr": 1}}]
    for change in changes:
        torch.save({**content, **change}, tmp_path / "checkpoint.pt")
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
            Checkpoint.load(tmp_path)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "was here",)

    torch.save({"mintage_checkpoint": 1, "spec": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError):
        Checkpoint.load(tmp_path)
    assert not (tmp_path / "was here").exists()


def test_a_configuration_from_json_has_known_keys_only() -> None:
    fields = PRESETS["fashion-28"].to_json()
    assert TrainConfig.from_json(fields) == PRESETS["fashion-28"]
    with pytest.raises(ConfigError, match="'learning_rate' is not an option"):
        TrainConfig.from_json(fields | {"learning_rate": 1})
