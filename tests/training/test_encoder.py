"""An encoder learns from its generator alone, goes on where it was stopped; refused where it does not fit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.encoder import add_encoder
from generator import Generator
from generator.artifact import ENCODER, Artifact, ArtifactError
from generator.latents import latents
from tests.conftest import untrained_encoder
from training.__main__ import main
from training.checkpoint import CheckpointError
from training.encoder.checkpoint import EncoderCheckpoint, EncoderOptions
from training.encoder.differentiable import UnknownGraph, network_of
from training.encoder.learning import learn
from training.encoder.measure import measure, own_images
from training.evaluation.steps import Steps

SHORT = EncoderOptions(total_kimg=1, batch=50, features=16)


@pytest.fixture
def artifact(grey: Path, tmp_path: Path) -> Path:
    """A copy of a generator that a test may change."""
    return Path(shutil.copytree(grey, tmp_path / "grey"))


def test_an_encoder_that_learned_for_seconds_finds_the_generators_images(
    artifact: Path, tmp_path: Path
) -> None:
    options = EncoderOptions(total_kimg=8, batch=50, learning_rate=4e-3, features=64)
    assert learn(Generator.open(artifact), options, tmp_path / "run", lambda shown, losses: None)
    before = Artifact.open(artifact).manifest
    after = add_encoder(artifact, tmp_path / "run").manifest
    assert after.digest == before.digest
    assert after.files.keys() - before.files.keys() == {ENCODER}
    generator = Generator.open(artifact)
    quality = measure(generator, own_images(generator, 60), 2, Steps(), "own")
    assert quality.class_found >= 0.95
    assert quality.share < 0.5
    assert quality.refined_share < quality.share


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(grey: Path, tmp_path: Path) -> None:
    def stop_at_500(images_shown: int, losses: dict[str, float]) -> None:
        if images_shown == 500:
            raise KeyboardInterrupt

    generator = Generator.open(grey)
    assert learn(generator, SHORT, tmp_path / "whole", lambda shown, losses: None)
    assert not learn(generator, SHORT, tmp_path / "parts", stop_at_500)
    assert not EncoderCheckpoint.load(tmp_path / "parts").is_finished
    assert learn(generator, SHORT, tmp_path / "parts", lambda shown, losses: None)
    whole, parts = (EncoderCheckpoint.load(tmp_path / name) for name in ("whole", "parts"))
    assert whole.images_shown == parts.images_shown == 1000
    for name, weight in whole.network.items():
        torch.testing.assert_close(parts.network[name], weight, rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="other options"):
        learn(generator, replace(SHORT, seed=1), tmp_path / "whole", lambda shown, losses: None)


@pytest.mark.parametrize("name", ["grey", "rgb"])
def test_the_network_in_a_graph_makes_the_graphs_images(models_folder: Path, name: str) -> None:
    generator = Generator.open(models_folder / name)
    spec = generator.spec
    latent = latents(range(20), spec.latent_dim, noise=spec.noise)
    vectors = spec.class_vectors([seed % spec.num_classes for seed in range(20)])
    network = network_of(generator.artifact)
    made = network(torch.from_numpy(latent), torch.from_numpy(vectors)).numpy()
    assert np.abs(made.astype(int) - generator.images_from(latent, vectors)).max() <= 1
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_graph_of_another_network_is_refused(rgb: Path, grey: Path) -> None:
    stranger = replace(Artifact.open(grey), path=Artifact.open(rgb).path)
    with pytest.raises(UnknownGraph, match="export the generator again"):
        network_of(stranger)


def test_an_encoder_is_added_only_where_it_belongs_and_when_it_is_finished(
    artifact: Path, rgb: Path, tmp_path: Path
) -> None:
    untrained_encoder(rgb).save(tmp_path / "of-rgb")
    with pytest.raises(CheckpointError, match="the encoder of another generator"):
        add_encoder(artifact, tmp_path / "of-rgb")
    replace(untrained_encoder(artifact), images_shown=10).save(tmp_path / "begun")
    with pytest.raises(ArtifactError, match="has not learned to its end"):
        add_encoder(artifact, tmp_path / "begun")
    with pytest.raises(CheckpointError, match="no encoder at"):
        add_encoder(artifact, tmp_path / "nothing")
    (tmp_path / "of-rgb" / "encoder.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be read"):
        add_encoder(artifact, tmp_path / "of-rgb")
    assert Artifact.open(artifact).encoder_file is None


def test_the_command_trains_then_measures_and_records(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--total-kimg", "0.2", "--batch", "50", "--features", "16", "--out", str(run)]
    assert main(["encoder", str(artifact), *options]) == 0
    assert f"python -m export encoder {artifact} {run}" in capsys.readouterr().err.replace("\n", "")
    add_encoder(artifact, run)
    assert main(["encoder", str(artifact), "--evaluate", "--images", "6", "--refine", "1", "--record"]) == 0
    recorded = Artifact.open(artifact).manifest
    own = recorded.metrics["inversion"]["own"]
    assert own["images"] == 6
    assert 0 < own["refined_error"] <= own["error"]
    assert recorded.metrics["inversion"]["encoder"] == recorded.files[ENCODER]
    add_encoder(artifact, run)  # another one: what was measured of the one before is forgotten
    assert not Artifact.open(artifact).manifest.metrics["inversion"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "1"], "--batch 1: allowed are 2 to"),
        (["--evaluate"], "python -m training encoder"),
        (["--evaluate", "--images", "0"], "--images 0"),
        (["--evaluate", "--data", "shapes"], "shapes has no test set"),
    ],
)
def test_the_command_tells_what_is_wrong(
    artifact: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encoder", str(artifact), "--out", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "run").exists()
