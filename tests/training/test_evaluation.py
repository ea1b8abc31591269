from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from export.artifact import export_checkpoint
from generator.spec import GeneratorSpec
from tests.conftest import untrained
from tests.training.conftest import Arrays
from training.__main__ import main
from training.config import TrainConfig
from training.data import load_dataset
from training.evaluation.judge import train_judge


def test_a_judge_learns_to_tell_classes_apart(npz: Path, arrays: Arrays) -> None:
    judge = train_judge(load_dataset(TrainConfig(data=str(npz))), epochs=60)
    assert judge.held_out == 9
    assert judge.accuracy == 1
    np.testing.assert_array_equal(judge.classify(arrays["images"][..., None]), arrays["labels"])


def test_evaluation_records_what_the_judge_saw(npz: Path, tmp_path: Path) -> None:
    spec = GeneratorSpec(("dark", "bright"), image_size=12, channels=1, latent_dim=4)
    export_checkpoint(untrained(spec, "x"), tmp_path / "x")
    arguments = ["evaluate", str(tmp_path / "x"), "--data", str(npz), "--samples", "50", "--epochs", "40"]
    assert main([*arguments, "--record"]) == 0
    result = json.loads((tmp_path / "x" / "manifest.json").read_text())["metrics"]["gan_test"]
    assert result["samples"] == 50
    assert 0 <= result["agreement"] <= 1
    assert result["agreement"] == np.mean(list(result["per_class"].values())).round(4)


def test_evaluation_refuses_data_of_other_classes(grey: Path, npz: Path, tmp_path: Path) -> None:
    shutil.copytree(grey, tmp_path / "x")
    assert main(["evaluate", str(tmp_path / "x"), "--data", str(npz)]) == 2
