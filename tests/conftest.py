"""Small real objects: untrained generators, exported once a session."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from export.artifact import export_checkpoint
from export.encoder import add_encoder
from generator.artifact import CPU_ONNX, DIRECTIONS, FP16_ONNX, MANIFEST, Artifact
from generator.spec import GeneratorSpec
from training.checkpoint import Checkpoint
from training.config import Norm, Output, TrainConfig
from training.encoder.checkpoint import EncoderCheckpoint, EncoderOptions
from training.encoder.network import Encoder
from training.networks import Generator

GREY = GeneratorSpec(("T-shirt/top", "Bag", "Ankle boot"), image_size=14, channels=1, latent_dim=5)
RGB = GeneratorSpec(("cat", "dog"), image_size=16, channels=3, latent_dim=4, noise="uniform")


def untrained(
    spec: GeneratorSpec,
    name: str,
    width: int = 4,
    seed: int = 0,
    norm: Norm = "batch",
    output: Output = "tanh",
) -> Checkpoint:
    """A checkpoint of random weights, batch-norm statistics included, large enough to make contrast."""
    torch.manual_seed(seed)
    config = TrainConfig(
        name=name, generator_width=width, latent_dim=spec.latent_dim, noise=spec.noise,
        generator_norm=norm, output=output,
    )  # fmt: skip
    generator = Generator.of(spec, config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(12 if norm == "batch" and parameter.ndim > 1 else 1)
        for layer in generator.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                cast(torch.Tensor, layer.running_mean).uniform_(-0.5, 0.5)
                cast(torch.Tensor, layer.running_var).uniform_(0.5, 2)
                layer.bias.uniform_(-0.5, 0.5)
    return Checkpoint(spec, config, 1000, 100, "", generator.state_dict(), {})


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two artifacts: grey (14 pixels, cropped from 16) and rgb."""
    folder = tmp_path_factory.mktemp("models")
    export_checkpoint(untrained(GREY, "grey"), folder / "grey")
    export_checkpoint(untrained(RGB, "rgb"), folder / "rgb")
    return folder


def untrained_encoder(path: Path) -> EncoderCheckpoint:
    """An encoder of random weights for an artifact, which is said to be finished."""
    artifact = Artifact.open(path)
    torch.manual_seed(0)
    options = EncoderOptions(total_kimg=1, features=16)
    network = Encoder(artifact.spec, options.features).state_dict()
    return EncoderCheckpoint(artifact.manifest.digest, artifact.spec, options, 1000, network, {})


@pytest.fixture(scope="session")
def models_with_encoders(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same two artifacts, each with an encoder that has learned nothing."""
    folder = tmp_path_factory.mktemp("with-encoders") / "models"
    shutil.copytree(models_folder, folder)
    for path in folder.iterdir():
        run = folder.parent / f"encoder-{path.name}"
        untrained_encoder(path).save(run)
        add_encoder(path, run)
    return folder


def of_an_earlier_version(path: Path, copy: Path) -> Path:
    """A copy of an artifact as it was before there were graphs for CPUs and in float16, and directions."""
    artifact = Artifact.open(path)
    manifest = artifact.manifest
    later = (CPU_ONNX, FP16_ONNX, DIRECTIONS)
    kept = {name: sha256 for name, sha256 in manifest.files.items() if name not in later}
    engine, parity = next(iter(manifest.parity.items()))
    fields = replace(manifest, files=kept, parity={engine: parity}).to_json()
    del fields["parity"][engine]["reference"]
    copy.mkdir(parents=True)
    for name in kept:
        (copy / name).write_bytes((artifact.path / name).read_bytes())
    (copy / MANIFEST).write_text(json.dumps(fields))
    return copy


def without_file(path: Path, file: str) -> Path:
    """Takes a file that the digest is not of out of an artifact; its folder."""
    fields = json.loads((path / MANIFEST).read_text())
    del fields["files"][file]
    (path / MANIFEST).write_text(json.dumps(fields))
    (path / file).unlink()
    return path


@pytest.fixture(scope="session")
def grey_of_an_earlier_version(grey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_an_earlier_version(grey, tmp_path_factory.mktemp("earlier") / "grey")


@pytest.fixture(scope="session")
def grey(models_folder: Path) -> Path:
    return models_folder / "grey"


@pytest.fixture(scope="session")
def rgb(models_folder: Path) -> Path:
    return models_folder / "rgb"
