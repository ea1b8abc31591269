from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_runs import TINY, run
from training.best import BestCheckpoint, Scorer, read_scores
from training.checkpoint import Checkpoint

OFTEN = ["--total-kimg", 0.64, *TINY, "--best-kimg", 0.16]


def test_a_run_keeps_the_best_checkpoint_by_its_scores(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, *OFTEN) == 0
    scores = read_scores(out)
    assert list(scores) == pytest.approx([0.16, 0.32, 0.48, 0.64])
    best = json.loads((out / "best.json").read_text())
    assert best["frechet_distance"] == min(scores.values())
    assert scores[best["kimg"]] == min(scores.values())
    assert Checkpoint.load(out / "best.pt").images_shown == round(best["kimg"] * 1000)


def test_keeping_the_best_does_not_change_the_run(npz: Path, tmp_path: Path) -> None:
    assert run("--data", npz, "--out", tmp_path / "with", *OFTEN) == 0
    assert run("--data", npz, "--out", tmp_path / "without", *OFTEN, "--best-kimg", "None") == 0
    assert not (tmp_path / "without" / "best.pt").exists()
    one, other = (Checkpoint.load(tmp_path / name).generator_ema for name in ("with", "without"))
    assert all(one[name].equal(other[name]) for name in one)


def test_a_resumed_run_keeps_the_better_of_before_and_after(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, *OFTEN) == 0
    record = json.loads((out / "best.json").read_text())
    record["scores"][0][1] = -1.0  # better than anything that can come
    (out / "best.json").write_text(json.dumps(record))
    before = (out / "best.pt").read_bytes()
    assert run("--resume", out, "--total-kimg", 0.96) == 0
    assert len(read_scores(out)) == 6
    assert (out / "best.pt").read_bytes() == before


def test_damaged_scores_are_told_by_name_with_the_way_out(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, *OFTEN) == 0
    (out / "best.json").write_text("")
    assert run("--resume", out, "--total-kimg", 0.96) == 2
    assert "best.json is damaged: remove it" in " ".join(capsys.readouterr().err.split())
    (out / "best.json").unlink()
    assert run("--resume", out, "--total-kimg", 0.96) == 0


def test_too_few_images_to_evaluate_cannot_stop_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, labels = np.zeros((40, 16, 16), np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "few.npz", images=few, labels=labels, class_names=["a", "b"])
    options = ["--data", tmp_path / "few.npz", "--out", tmp_path / "run", *OFTEN]
    assert run(*options, "--stop-when-converged") == 2
    assert "40 images are too few to evaluate a checkpoint with" in " ".join(capsys.readouterr().err.split())


def test_a_checkpoint_is_kept_where_its_score_is_the_lowest_so_far(npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("--data", npz, "--out", out, "--total-kimg", 0.16, *TINY) == 0
    checkpoint = Checkpoint.load(out)

    class Scripted(Scorer):
        def __init__(self) -> None:
            self.coming = [3.0, 1.0, 2.0]

        @property
        def samples(self) -> int:
            return 1

        def score(self, checkpoint: Checkpoint) -> float:
            return self.coming.pop(0)

    heard: list[float] = []
    best = BestCheckpoint(Scripted(), out, 1.0, lambda kimg, score: heard.append(score))
    written = []
    for _ in range(3):
        best.consider(checkpoint)
        written.append((out / "best.pt").stat().st_mtime_ns)
    assert heard == [3, 1, 2]
    assert written[0] < written[1] == written[2]
