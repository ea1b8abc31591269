"""The folder of a run: configuration, statistics, sample sheets, the last checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from generator.latents import latents
from generator.pixels import contact_sheet, to_pillow
from generator.spec import GeneratorSpec
from training.checkpoint import FILE_NAME, Checkpoint
from training.config import ConfigError, TrainConfig
from training.networks import Generation, Generator

STATS = "stats.jsonl"
SHEET_ROWS, SHEET_COLUMNS = 10, 12  # at most so many classes, so many seeds


class RunFolder:
    """Where a run writes. Nothing is created before `begin`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint_file(self) -> Path:
        return self.path / FILE_NAME

    def check_free(self) -> None:
        """Raises ConfigError where another run has been."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            way_out = (
                f"--resume {self.path} goes on with it" if self.checkpoint_file.exists() else "remove it"
            )
            raise ConfigError(f"{self.path} is already there: {way_out}, or give another --out")

    def begin(self, config: TrainConfig, images_shown: int) -> None:
        """Creates the folder, or cuts the statistics back to the checkpoint that the run resumes from.

        A line that is damaged, by a kill for instance, is left out.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
        stats = self.path / STATS
        lines = stats.read_text().splitlines(keepends=True) if stats.exists() else []
        stats.write_text("".join(line for line in lines if _kimg(line) * 1000 <= images_shown + 0.5))

    def read_stats(self) -> list[dict[str, Any]]:
        """The lines so far, alarms among them."""
        return [json.loads(line) for line in (self.path / STATS).read_text().splitlines()]

    def add_stats(self, stats: Mapping[str, Any]) -> None:
        with (self.path / STATS).open("a") as file:
            file.write(json.dumps(stats) + "\n")

    def save(self, checkpoint: Checkpoint) -> Image.Image:
        """The checkpoint, and a sheet of what it makes: the same classes and seeds each time."""
        checkpoint.save(self.checkpoint_file)
        kimg = checkpoint.images_shown / 1000
        sheet = sample_sheet(checkpoint.generator(), checkpoint.spec)
        sheet.save(self.path / f"sheet-{kimg:06.0f}-kimg.png")
        return sheet


def _kimg(line: str) -> float:
    """Of a line of statistics; infinite where it is not a whole one."""
    try:
        return float(json.loads(line)["kimg"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


def sample_sheet(generator: Generator, spec: GeneratorSpec) -> Image.Image:
    """One row a class, one column a seed; the ends of the list where there are many classes."""
    classes = np.linspace(0, spec.num_classes - 1, min(spec.num_classes, SHEET_ROWS)).round()
    labels = [int(label) for label in np.repeat(classes, SHEET_COLUMNS)]
    seeds = list(range(SHEET_COLUMNS)) * len(classes)
    with torch.no_grad():
        images = Generation(generator, spec)(
            torch.from_numpy(latents(seeds, spec.latent_dim, noise=spec.noise)),
            torch.from_numpy(spec.class_vectors(labels)),
        )
    return to_pillow(contact_sheet(images.numpy(), columns=SHEET_COLUMNS))
