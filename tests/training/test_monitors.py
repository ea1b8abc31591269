"""What is written of a run for people to look at, and the rule that ends it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from tests.training.test_runs import TINY, run
from training.config import ConfigError, TrainConfig
from training.monitors.alarms import Alarm
from training.monitors.convergence import converged
from training.monitors.picture import draw_stats


def events(folder: Path) -> Iterator[Event]:
    """All events of a folder: records of a length, its checksum, the event, its checksum."""
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def test_tensorboard_gets_the_statistics_and_the_sheet_and_a_resumed_run_purges_what_was_lost(
    npz: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY, "--tensorboard") == 0
    assert run("--resume", out, "--total-kimg", 0.32) == 0
    found = list(events(out / "tensorboard"))
    scalars = {
        (event.step, value.tag): value.simple_value
        for event in found
        for value in event.summary.value
        if value.HasField("simple_value")
    }
    for line in map(json.loads, (out / "stats.jsonl").read_text().splitlines()):
        shown = round(line.pop("kimg") * 1000)
        for name, number in line.items():
            assert scalars.pop((shown, name)) == pytest.approx(number)
    assert not scalars
    sheets = [event.step for event in found for value in event.summary.value if value.tag == "sheet"]
    assert sheets == [160, 320]
    assert 161 in [event.step for event in found if event.session_log.status == event.session_log.START]


def test_without_the_option_nothing_is_written_for_tensorboard(npz: Path, tmp_path: Path) -> None:
    assert run("--data", npz, "--out", tmp_path / "run", "--total-kimg", 0.16, *TINY) == 0
    assert not (tmp_path / "run" / "tensorboard").exists()


def height(picture: Path) -> int:
    with Image.open(picture) as image:
        return image.height


def test_the_picture_shows_a_run_of_any_length_with_and_without_alarms(tmp_path: Path) -> None:
    line = {
        "kimg": 5.0, "images_per_s": 300.0, "data_wait": 0.001, "generator_loss": 0.4, "fake_score": -0.4,
        "discriminator_loss": 1.7, "discriminator_accuracy": 0.8, "real_score": 0.6,
        "generator_gradient": 0.3, "discriminator_gradient": 2.0,
    }  # fmt: skip
    assert draw_stats(tmp_path, [], []) is None
    assert draw_stats(tmp_path, [line], []) == tmp_path / "stats.png"
    quiet = height(tmp_path / "stats.png")
    alarm = Alarm("collapse", 5.0, "diversity", 0.1, 0.2, "Try another")
    draw_stats(tmp_path, [line, line | {"kimg": 10.0, "diversity": 0.1}], [alarm])
    assert height(tmp_path / "stats.png") > quiet  # the alarm is told below
    assert [file.name for file in tmp_path.iterdir()] == ["stats.png"]


@pytest.mark.parametrize(
    ("scores", "ended"),
    [
        ([9, 9, 9, 9, 9], False),  # five evaluations have none before them
        ([9, 9, 9, 9, 9, 9], True),
        ([9, 8, 7, 6, 5, 4, 3], False),
        ([9, 4, 5, 5, 5, 5, 5], True),
        ([9, 4, 5, 5, 5, 5, 3.97], True),  # better by less than one in a hundred
        ([9, 4, 5, 5, 5, 5, 3.95], False),
    ],
)
def test_a_run_has_converged_when_five_evaluations_bring_nothing(scores: list[float], ended: bool) -> None:
    assert converged({float(kimg): score for kimg, score in enumerate(scores)}) == ended


def test_a_run_that_learns_nothing_any_more_stops_if_asked_to(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    still = ["--generator-lr", 1e-9, "--discriminator-lr", 1e-9, "--generator-norm", "none", *TINY]
    options = ["--data", npz, "--total-kimg", 3.2, "--best-kimg", 0.16, *still]
    assert run("--out", out, *options, "--stop-when-converged") == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ended"] == "converged"
    assert 0.96 <= summary["kimg"] < 1.6
    assert (out / "checkpoint.pt").exists()


def test_convergence_needs_evaluations() -> None:
    with pytest.raises(ConfigError, match="add --best-kimg N"):
        TrainConfig(stop_when_converged=True)
