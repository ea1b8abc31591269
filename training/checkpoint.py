"""A checkpoint: one file with weights, spec, configuration and progress, written whole or not at all."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.spec import GeneratorSpec, SpecError
from training.config import ConfigError, TrainConfig
from training.networks import Generator

SCHEMA_VERSION = 2
FILE_NAME = "checkpoint.pt"

Weights = dict[str, Tensor]


class CheckpointError(ValueError):
    """A file that is not a checkpoint of this project, or not a whole one."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on, and everything export needs."""

    spec: GeneratorSpec
    config: TrainConfig
    images_shown: int  # real images since the start
    data_images: int  # images that it learns from
    data_digest: str  # sha256 of them, their labels and classes; empty in a checkpoint that does not tell
    generator_ema: Weights  # the averaged weights, batch-norm statistics re-estimated: what is served
    training_state: dict[str, Any]  # networks, optimizers, random state: what resuming needs

    def generator(self) -> Generator:
        """The generator to serve, in evaluation mode."""
        generator = Generator.of(self.spec, self.config)
        generator.load_state_dict(self.generator_ema)
        return generator.eval()

    def save(self, path: Path) -> None:
        """Writes the file beside its place, then moves it there: a kill leaves the old one whole."""
        content = {
            "mintage_checkpoint": SCHEMA_VERSION,
            "spec": self.spec.to_json(),
            "config": self.config.to_json(),
            "images_shown": self.images_shown,
            "data_images": self.data_images,
            "data_digest": self.data_digest,
            "generator_ema": self.generator_ema,
            "training_state": self.training_state,
        }
        unfinished = path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except (OSError, RuntimeError) as error:  # torch.save raises either
            unfinished.unlink(missing_ok=True)
            raise OSError(f"{path} could not be written, what was there before is kept: {error}") from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads a checkpoint file, or the one in a run folder; runs no code from it.

        Raises CheckpointError.
        """
        file = path / FILE_NAME if path.is_dir() else path
        if not file.is_file():
            raise CheckpointError(
                f"no checkpoint at {file}: give a run folder or a {FILE_NAME} that `python -m training` wrote"
            )
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{file} is damaged or not a checkpoint that `python -m training` wrote"
            ) from error
        version = content.get("mintage_checkpoint") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise CheckpointError(
                f"{file} has checkpoint version {version}: this program reads {SCHEMA_VERSION}"
            )
        try:
            return cls(
                spec=GeneratorSpec.from_json(content["spec"]),
                config=TrainConfig.from_json(content["config"]),
                images_shown=content["images_shown"],
                data_images=content["data_images"],
                data_digest=content.get("data_digest", ""),
                generator_ema=content["generator_ema"],
                training_state=content["training_state"],
            )
        except (KeyError, TypeError, SpecError, ConfigError) as error:
            raise CheckpointError(f"{file} does not fit this version of mintage: {error}") from error
