"""The command, on small drawn shapes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from export.artifact import export_checkpoint
from generator.artifact import Artifact
from generator.pixels import Pixels
from generator.spec import GeneratorSpec
from tests.conftest import RGB, untrained
from tests.training.test_spaces import StandIn, scripted
from training.__main__ import OTHERS, main
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.evaluation import __main__ as command
from training.evaluation.classifier import Protocol
from training.evaluation.generated import CheckpointSource
from training.evaluation.measure import MeasureOptions, Yardstick
from training.evaluation.real import split_real
from training.evaluation.steps import Steps
from training.evaluation.subjects import Sources, find_real_images
from training.evaluation.tables import notes
from training.shapes import CLASS_NAMES, draw_shapes

SPEC = GeneratorSpec(CLASS_NAMES, image_size=16, channels=1, latent_dim=4)
SHORT = Protocol(epochs=1, fewest_steps=120)


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    found = draw_shapes(16, 0)
    return Dataset(found.images[::4], found.labels[::4], CLASS_NAMES)  # 500


@pytest.fixture(scope="module")
def folder(shapes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data.npz; x, an artifact; x.pt, its checkpoint; judges, which all tests share."""
    folder = tmp_path_factory.mktemp("evaluation")
    np.savez(
        folder / "data.npz", images=shapes.images, labels=shapes.labels, class_names=np.array(CLASS_NAMES)
    )
    checkpoint = untrained(SPEC, "x")
    checkpoint = replace(checkpoint, config=replace(checkpoint.config, data=str(folder / "data.npz")))
    checkpoint.save(folder / "x.pt")
    export_checkpoint(checkpoint, folder / "x")
    return folder


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in ("FULL", "QUICK"):
        monkeypatch.setattr(command, protocol, SHORT)


def evaluate(folder: Path, *arguments: object) -> int:
    """The command's exit code, in this process; results go to `out`."""
    given = [str(argument) for argument in arguments]
    return main(["evaluate", *given, "--judges", str(folder / "judges"), "--out", str(folder / "out")])


class Replay:
    """A generator that has learned its training images by heart."""

    name, engine, spec, training = "replay", "memory", SPEC, TrainConfig()

    def __init__(self, known: Dataset) -> None:
        self._of_class = [known.images[known.labels == label] for label in range(len(CLASS_NAMES))]

    def images(self, labels: npt.NDArray[np.int64], seeds: Sequence[int]) -> Pixels:
        pairs = zip(labels, seeds, strict=True)
        return np.stack([self._of_class[label][seed % len(self._of_class[label])] for label, seed in pairs])


@pytest.fixture(scope="module")
def yardstick(shapes: Dataset, folder: Path) -> Yardstick:
    options = MeasureOptions(samples=90, protocol=SHORT, kept_in=folder / "judges")
    return Yardstick(split_real(shapes), options, Steps())


def test_a_generator_that_copies_is_as_good_as_real_images_and_found_out(
    yardstick: Yardstick, shapes: Dataset
) -> None:
    real = yardstick.of_real()
    quality, images = yardstick.of_generator(Replay(split_real(shapes).training))
    assert images.shape == (90, 16, 16, 1)
    assert quality.gan_test is not None
    assert quality.gan_train is not None
    assert real.gan_test is not None
    assert real.gan_test.accuracy > 0.9
    assert quality.gan_test.accuracy >= real.gan_test.accuracy - 0.05
    assert quality.gan_train.accuracy >= real.gan_test.accuracy - 0.1
    assert quality.gan_train.images == len(yardstick.real.held_out.labels)
    assert quality.closeness["judge"].coverage > 0.8
    # What the judge has learned from lies closer together in its features than what it has not.
    assert 0.6 < quality.closeness["judge"].diversity < 1.15
    assert quality.near_training["pixels"] == 1


def test_a_generator_that_knows_one_image_of_each_class_is_not_diverse(
    yardstick: Yardstick, shapes: Dataset
) -> None:
    training = split_real(shapes).training
    firsts = [int(np.flatnonzero(training.labels == label)[0]) for label in range(4)]
    one_each = Dataset(training.images[firsts], training.labels[firsts], CLASS_NAMES)
    quality, _ = yardstick.of_generator(Replay(one_each))
    closeness = quality.closeness["judge"]
    assert closeness.diversity == pytest.approx(0, abs=1e-3)
    assert closeness.recall < 0.2
    assert closeness.frechet_distance > 2 * yardstick.of_real().closeness["judge"].frechet_distance
    assert quality.gan_test is not None
    assert quality.gan_train is not None
    assert quality.gan_train.accuracy < quality.gan_test.accuracy


def test_n_is_what_the_data_has_and_is_told(shapes: Dataset, folder: Path) -> None:
    options = MeasureOptions(protocol=SHORT, kept_in=folder / "judges")
    yardstick = Yardstick(split_real(shapes), options, Steps())
    assert yardstick.samples == 100
    assert any("N is 100, not 10,000" in note for note in notes(yardstick))
    assert any("the data has no test set" in note for note in notes(yardstick))


def test_with_one_class_there_is_no_judge_and_the_rest_is_measured(shapes: Dataset, folder: Path) -> None:
    circles = Dataset(shapes.images[:60], np.zeros(60, np.int64), ("Circle",))
    yardstick = Yardstick(split_real(circles), MeasureOptions(kept_in=folder / "judges"), Steps())
    quality = yardstick.of_real()
    assert quality.gan_test is None
    assert quality.gan_train is None
    assert list(quality.closeness) == ["efficientnet"]
    assert any("one class" in note for note in notes(yardstick))


def test_a_checkpoint_and_its_artifact_are_measured_side_by_side_as_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, folder / "x.pt", folder / "x", "--quick") == 0
    shown = capsys.readouterr().out
    assert "100 images of each" in shown
    assert all(name in shown for name in (*CLASS_NAMES, "GAN-train", "coverage", "kernel distance"))
    results = json.loads((folder / "out" / "evaluation.json").read_text())
    assert results["samples"] == 100
    checkpoint, artifact = results["generators"]["x-1-kimg"], results["generators"]["x"]
    assert checkpoint["engine"].startswith("torch")
    assert artifact["engine"].startswith("onnxruntime")
    # The engines' pixels differ by a step at most, here and there.
    agreed = [each["gan_test"]["accuracy"] for each in (checkpoint, artifact)]
    assert agreed[0] == pytest.approx(agreed[1], abs=0.02)
    closeness = [each["closeness"]["judge"]["frechet_distance"] for each in (checkpoint, artifact)]
    assert closeness[0] == pytest.approx(closeness[1], rel=1e-2)
    assert closeness[0] > results["held_out_real"]["closeness"]["judge"]["frechet_distance"]
    for name in ("x-1-kimg", "x"):
        with Image.open(folder / "out" / f"neighbours-{name}.png") as picture:
            assert picture.width > 500


def test_a_record_is_in_the_manifest_and_leaves_the_digest(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "x", tmp_path / "x")
    before = Artifact.open(tmp_path / "x").record_metrics({"older": 1}).manifest
    data = ["--data", folder / "data.npz"]
    assert evaluate(folder, tmp_path / "x", *data, "--samples", 50, "--record") == 0
    after = Artifact.open(tmp_path / "x").manifest
    assert after.digest == before.digest
    assert after.metrics["older"] == 1
    assert after.metrics["samples"] == 50
    assert 0 <= after.metrics["gan_test"]["accuracy"] <= 1
    assert 0 <= after.metrics["gan_train"]["accuracy"] <= 1
    assert set(after.metrics["gan_test"]["per_class"]) == set(CLASS_NAMES)
    assert after.metrics["basis"]["held_out_real"]["gan_test"]["accuracy"] > 0.9


def test_colour_is_measured_in_efficientnet_features_and_inceptions_where_given(tmp_path: Path) -> None:
    export_checkpoint(untrained(RGB, "rgb"), tmp_path / "rgb")
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    images = rng.integers(0, 100, (100, 16, 16, 3)) + labels[:, None, None, None] * 100
    np.savez(tmp_path / "data.npz", images=images.astype(np.uint8), labels=labels, class_names=["cat", "dog"])
    inception = scripted(StandIn(), tmp_path / "inception.pt")
    arguments = ["--data", tmp_path / "data.npz", "--without-gan-train", "--quick", "--inception", inception]
    assert evaluate(tmp_path, tmp_path / "rgb", *arguments) == 0
    results = json.loads((tmp_path / "out" / "evaluation.json").read_text())["generators"]["rgb"]
    assert set(results["closeness"]) == {"judge", "efficientnet", "inception"}
    assert results["gan_train"] is None
    assert results["inception_score"] >= 1


def test_the_datas_own_test_set_is_what_classifiers_are_tested_on(folder: Path, shapes: Dataset) -> None:
    test = draw_shapes(16, 1)
    np.savez(
        folder / "with-test.npz", images=shapes.images, labels=shapes.labels, class_names=list(CLASS_NAMES),
        test_images=test.images[::20], test_labels=test.labels[::20],
    )  # fmt: skip
    data = ["--data", folder / "with-test.npz"]
    assert evaluate(folder, folder / "x", *data, "--quick", "--without-gan-train") == 0
    results = json.loads((folder / "out" / "evaluation.json").read_text())
    assert results["test_set_given"]
    assert results["held_out_images"] == 100
    assert results["training_images"] == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x"], "--data is needed: x does not say"),
        (["x.pt", "--samples", "5"], "--samples 5: at least 20"),
        (["x.pt", "--samples", "0"], "--samples 0: at least 20"),
        (["x.pt", "--judges", "data.npz/judges"], "data.npz is a file; give a folder"),
        (["x.pt", "--engine", "onnxruntime"], "is a checkpoint, and torch runs it"),
        (
            ["x", "--data", "data.npz", "--engine", "cuda"],
            "an artifact runs on auto, tensorrt",
        ),
        (["x.pt", "--record"], "is a checkpoint, which has no manifest"),
        (["x", "--data", "data.npz", "--record", "--quick"], "--record takes whole measurements"),
        (["x", "x", "--data", "data.npz"], "is given twice"),
        (["x.pt", "--inception", "none.pt"], "there is no such file"),
        (["x.pt", "--data", "other.npz"], "has the classes a, b"),
        (["nothing"], "no checkpoint at"),
    ],
)
def test_what_cannot_be_measured_is_told_and_nothing_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    np.savez(folder / "other.npz", images=np.zeros((60, 16, 16), np.uint8), labels=np.arange(60) % 2,
             class_names=["a", "b"])  # fmt: skip
    monkeypatch.chdir(folder)
    out = ["--judges", str(tmp_path / "judges"), "--out", str(tmp_path / "out")]
    assert main(["evaluate", *out, *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused_before_anything_is_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, judges = tmp_path / "file", tmp_path / "judges"
    file.write_text("mine")
    assert main(["evaluate", str(folder / "x.pt"), "--out", str(file), "--judges", str(judges)]) == 2
    assert f"--out {file}: {file} is a file; give a folder" in " ".join(capsys.readouterr().err.split())
    assert file.read_text() == "mine"
    assert not judges.exists()


def with_options(folder: Path, name: str, **options: Any) -> CheckpointSource:
    """The source of a checkpoint like x.pt, but for some options of its training."""
    checkpoint = untrained(SPEC, name)
    data = str(folder / "data.npz")
    replace(checkpoint, config=replace(checkpoint.config, data=data, **options)).save(folder / f"{name}.pt")
    return CheckpointSource(folder / f"{name}.pt", "auto")


@pytest.mark.parametrize("sizes", [(None, 16), (16, None)])
def test_generators_of_one_size_are_measured_together_however_they_came_to_it(
    folder: Path, sizes: tuple[int | None, int | None]
) -> None:
    sources: Sources = {
        name: with_options(folder, name, image_size=size) for name, size in zip("ab", sizes, strict=True)
    }
    assert find_real_images(sources, None, None).reference.images.shape[1:] == (16, 16, 1)
    sources["c"] = with_options(folder, "c", fit="resize")
    with pytest.raises(ConfigError, match="c was made for 16 pixels, channels 1, --fit resize, a"):
        find_real_images(sources, None, None)


def test_whether_a_generator_copies_is_asked_of_images_that_its_training_saw(folder: Path) -> None:
    sources: Sources = {"all": with_options(folder, "all", held_out=0)}
    everything = find_real_images(sources, None, None)
    sources["most"] = with_options(folder, "most")  # 25 of 500
    sources["fewer"] = with_options(folder, "fewer", held_out=40)
    both = find_real_images(sources, None, None)
    assert len(everything.seen.labels) - len(both.seen.labels) == 40
    np.testing.assert_array_equal(both.reference.images, everything.reference.images)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("evalute", "did you mean python -m training evaluate?"),
        ("sweeps", "did you mean python -m training sweep?"),
        ("modes", "did you mean python -m training.modes?"),
        ("fashion-28", "There are python -m training evaluate"),
    ],
)
def test_a_command_that_there_is_not_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    assert main([typed, "models/x"]) == 2
    assert f"{typed} is no command" in (told := " ".join(capsys.readouterr().err.split()))
    assert meant in told


def test_the_help_of_training_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(f"{command} (" in told for command in OTHERS.values())
