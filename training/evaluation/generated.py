"""Generators to be measured: artifacts on any engine, and checkpoints on torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch

from generator import Generator
from generator.artifact import MANIFEST, Artifact
from generator.engines import ENGINES, Engine, EngineName, Wanted, choose_engine
from generator.latents import latents
from generator.pixels import Pixels
from generator.spec import GeneratorSpec
from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.networks import Generation

AUTO, TORCH = "auto", "torch"
BATCH = 64
KNOWN = ("data", "image_size", "fit", "batch", "held_out")  # options that say which images training saw
PART = 5_000  # images between two signs of progress

Labels = npt.NDArray[np.int64]


class Source(Protocol):
    """Whatever makes images of classes and seeds."""

    name: str
    engine: str
    spec: GeneratorSpec
    training: TrainConfig  # the options of its training, as far as they are known

    def images(self, labels: Labels, seeds: Sequence[int]) -> Pixels: ...


class ArtifactSource:
    def __init__(self, path: Path, engine: str) -> None:
        """Raises ArtifactError, EngineError; ConfigError for an engine that there is none of."""
        self.artifact = Artifact.open(path)
        manifest = self.artifact.manifest
        self._generator = Generator(self.artifact, _engine(self.artifact, engine))
        self.name, self.engine, self.spec = manifest.name, self._generator.engine.key, manifest.spec
        known = {key: manifest.provenance.training.get(key) for key in KNOWN}
        self.training = TrainConfig(**{key: value for key, value in known.items() if value is not None})

    def images(self, labels: Labels, seeds: Sequence[int]) -> Pixels:
        return self._generator.images(labels.tolist(), seeds)


class CheckpointSource:
    def __init__(self, path: Path, engine: str) -> None:
        """Raises CheckpointError; ConfigError for an engine other than torch."""
        if engine not in (AUTO, TORCH):
            raise ConfigError(f"--engine {engine}: {path} is a checkpoint, and torch runs it; leave it out")
        self._checkpoint = checkpoint = Checkpoint.load(path)
        self.spec, self.training = checkpoint.spec, checkpoint.config
        self.name = f"{checkpoint.config.name}-{checkpoint.images_shown / 1000:.0f}-kimg"
        self.engine = f"torch-{torch.__version__}"

    def images(self, labels: Labels, seeds: Sequence[int]) -> Pixels:
        return checkpoint_images(self._checkpoint, labels, seeds)


@torch.no_grad()
def checkpoint_images(checkpoint: Checkpoint, labels: Labels, seeds: Sequence[int]) -> Pixels:
    """What a checkpoint's generator makes of classes and seeds, on torch, uint8 [N, H, W, C]."""
    spec = checkpoint.spec
    generation = Generation(checkpoint.generator(), spec)
    parts = []
    for start in range(0, len(seeds), BATCH):
        rows = slice(start, start + BATCH)
        latent = torch.from_numpy(latents(seeds[rows], spec.latent_dim, noise=spec.noise))
        vectors = torch.from_numpy(spec.class_vectors(labels[rows].tolist()))
        parts.append(generation(latent, vectors).numpy())
    return np.concatenate(parts)


def open_source(path: Path, engine: str = AUTO) -> ArtifactSource | CheckpointSource:
    """An artifact's folder, a run folder, or a checkpoint file."""
    if (path / MANIFEST).is_file():
        return ArtifactSource(path, engine)
    return CheckpointSource(path, engine)


def engine_names() -> list[str]:
    """auto, then the engines that there are, the best first."""
    return [AUTO, *ENGINES]


def _engine(artifact: Artifact, name: str) -> Engine:
    if name not in engine_names():
        raise ConfigError(f"--engine {name}: an artifact runs on {', '.join(engine_names())}")
    wanted = None if name == AUTO else cast(EngineName, name)
    return choose_engine(artifact, Wanted(engine=wanted)).engine


def in_parts(source: Source, labels: Labels, seeds: range, report: Callable[[float], None]) -> Pixels:
    """As `source.images`, telling the share that is done."""
    parts = []
    for start in range(0, len(labels), PART):
        rows = slice(start, start + PART)
        parts.append(source.images(labels[rows], seeds[rows]))
        report(min(1.0, (start + PART) / len(labels)))
    return np.concatenate(parts)
