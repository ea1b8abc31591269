"""An encoder on its way or finished: one file with weights, options and progress."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from generator.artifact import SHORT_DIGEST
from generator.spec import GeneratorSpec
from training.checkpoint import CheckpointError, Weights
from training.config import ConfigError
from training.encoder.network import Encoder

FILE_NAME = "encoder.pt"
SCHEMA_VERSION = 1
LIMITS: dict[str, tuple[float, float]] = {
    "total_kimg": (0.001, 1e9),
    "batch": (2, 65536),
    "learning_rate": (1e-9, 1),
    "features": (1, 4096),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class EncoderOptions:
    total_kimg: float = 400  # thousands of images, none of which is shown twice
    batch: int = 64
    learning_rate: float = 2e-3  # AdamW's, at its highest
    features: int = 512  # of the layer before latent and class
    seed: int = 0

    def check(self) -> None:
        """Raises ConfigError for options that make no run."""
        for name, (least, most) in LIMITS.items():
            if not least <= (value := getattr(self, name)) <= most:
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} {value:g}: allowed are {least:g} to {most:g}")


@dataclass(frozen=True)
class EncoderCheckpoint:
    """Everything learning needs to go on, and everything export needs."""

    digest: str  # of the generator that it is for
    spec: GeneratorSpec
    options: EncoderOptions
    images_shown: int
    network: Weights
    optimizer: dict[str, Any]

    @property
    def is_finished(self) -> bool:
        return self.images_shown >= self.options.total_kimg * 1000

    def encoder(self) -> Encoder:
        """The encoder in evaluation mode."""
        encoder = Encoder(self.spec, self.options.features)
        encoder.load_state_dict(self.network)
        return encoder.eval()

    def check_is_of(self, digest: str, folder: Path) -> None:
        """Raises CheckpointError where it is for another generator."""
        if self.digest != digest:
            raise CheckpointError(
                f"{folder} has the encoder of another generator, {self.digest[:SHORT_DIGEST]}: give another "
                "folder, or train one for this generator"
            )

    def save(self, folder: Path) -> None:
        """Writes the file beside its place, then moves it there: a kill leaves the old one whole."""
        content = {
            "mintage_encoder": SCHEMA_VERSION,
            "digest": self.digest,
            "spec": self.spec.to_json(),
            "options": asdict(self.options),
            "images_shown": self.images_shown,
            "network": self.network,
            "optimizer": self.optimizer,
        }
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{FILE_NAME}.unfinished"
        torch.save(content, unfinished)
        os.replace(unfinished, folder / FILE_NAME)

    @classmethod
    def load(cls, folder: Path) -> EncoderCheckpoint:
        """The checkpoint of a run folder; runs no code from it. Raises CheckpointError."""
        file = folder / FILE_NAME
        if not file.is_file():
            raise CheckpointError(f"no encoder at {file}: `python -m training encoder` makes one")
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            if content["mintage_encoder"] != SCHEMA_VERSION:
                raise CheckpointError(f"{file} is of another version of mintage: train the encoder again")
            return cls(
                digest=content["digest"],
                spec=GeneratorSpec.from_json(content["spec"]),
                options=EncoderOptions(**content["options"]),
                images_shown=content["images_shown"],
                network=content["network"],
                optimizer=content["optimizer"],
            )
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from error
