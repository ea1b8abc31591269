"""LoadGen's log of answers, compared with the generator's images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.mlperf.samples import Samples
from benchmarks.results import ResultError
from generator import Generator

LOG = "mlperf_log_accuracy.json"


@dataclass(frozen=True)
class Accuracy:
    """How far answers are from the reference."""

    images: int
    pixels: int  # of all images, each channel by itself
    wrong: int  # pixels that differ
    largest: int  # difference, of 255

    @property
    def in_words(self) -> str:
        by = f", by at most {self.largest}" if self.wrong else ""
        return f"{self.wrong:,} of {self.pixels:,}{by}"


def check(folder: Path, generator: Generator, samples: Samples) -> Accuracy:
    """Every answer of an accuracy run. Raises ResultError unless each sample was answered once."""
    entries = json.loads((folder / LOG).read_text())
    indices = [entry["qsl_idx"] for entry in entries]
    if sorted(indices) != list(range(samples.count)):
        raise ResultError(f"{folder / LOG} has {len(indices)} answers, not one for each of {samples.count}")
    right = generator.images(
        [samples.label(index) for index in indices], [samples.seed(index) for index in indices]
    )
    wrong = largest = 0
    for entry, image in zip(entries, right, strict=True):
        answer = np.frombuffer(bytes.fromhex(entry["data"]), np.uint8)
        if answer.size != image.size:
            raise ResultError(f"sample {entry['qsl_idx']}: {answer.size} bytes are no image of {image.shape}")
        difference = np.abs(answer.astype(np.int16) - image.ravel())
        wrong += int(np.count_nonzero(difference))
        largest = max(largest, int(difference.max()))
    return Accuracy(len(entries), right.size, wrong, largest)
