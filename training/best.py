"""The best checkpoint of a run, by a small evaluation every so often: best.pt, all scores in best.json."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

from training.checkpoint import Checkpoint
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.evaluation.classifier import FULL, Protocol
from training.evaluation.distances import frechet_distance
from training.evaluation.generated import checkpoint_images
from training.evaluation.judge import find_judge
from training.evaluation.real import FEWEST, rows_of, split_real
from training.evaluation.steps import Steps

BEST, SCORES = "best.pt", "best.json"
SAMPLES = 5_000  # at most so many images; the same seeds, classes and real images each time
JUDGES = "judges"  # beside the run folder, so that runs on the same data share one

Scored = Callable[[float, float], None]  # hears (kimg, score)


class Scorer:
    """Fréchet distance, in the judge's features, of a checkpoint's images from real ones: lower is better."""

    def __init__(
        self, dataset: Dataset, test: Dataset | None, kept_in: Path, steps: Steps, protocol: Protocol = FULL
    ) -> None:
        real = split_real(dataset, test)
        with steps.step("the judge learns from real images") as report:
            judge = find_judge(real.training, real.held_out, protocol, kept_in, report)
        reference = rows_of(real.reference, slice(SAMPLES))
        self._labels, self._features = reference.labels, judge.classifier.features
        self._real = self._features(reference.images)

    @property
    def samples(self) -> int:
        return len(self._labels)

    def score(self, checkpoint: Checkpoint) -> float:
        images = checkpoint_images(checkpoint, self._labels, range(self.samples))
        return frechet_distance(self._real, self._features(images))


class BestCheckpoint:
    """Scores the checkpoints it is shown and keeps the best; a resumed run goes on from the scores there."""

    def __init__(
        self, scorer: Scorer, folder: Path, every_kimg: float, scored: Scored = lambda kimg, score: None
    ) -> None:
        self.scorer, self.every_kimg = scorer, every_kimg
        self._folder, self._scored = folder, scored
        self.scores = read_scores(folder)  # kimg -> score

    def consider(self, checkpoint: Checkpoint) -> None:
        kimg = checkpoint.images_shown / 1000
        score = self.scorer.score(checkpoint)
        if score < min(self.scores.values(), default=math.inf):
            checkpoint.save(self._folder / BEST)
        self.scores[kimg] = score
        self._write()
        self._scored(kimg, score)

    def _write(self) -> None:
        best = min(self.scores, key=lambda kimg: self.scores[kimg])
        content = {
            "kimg": best,
            "frechet_distance": self.scores[best],
            "samples": self.scorer.samples,
            "scores": [[kimg, self.scores[kimg]] for kimg in sorted(self.scores)],
        }
        unfinished = self._folder / f"{SCORES}.unfinished"
        unfinished.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(unfinished, self._folder / SCORES)


def begin_best(
    config: TrainConfig, dataset: Dataset, test: Dataset | None, folder: Path, steps: Steps
) -> BestCheckpoint | None:
    """What a run keeps its best checkpoint with; None where its options say so, or for too few images.

    Raises ConfigError where a run of too few images should be stopped by it.
    """
    images = len(dataset.labels)
    if config.stop_when_converged and images < FEWEST:
        raise ConfigError(
            f"--stop-when-converged: {images} images are too few to evaluate a checkpoint with, "
            f"it takes {FEWEST}; leave it out"
        )
    if config.best_kimg is None or images < FEWEST:
        return None
    scorer = Scorer(dataset, test, folder.parent / JUDGES, steps)
    return BestCheckpoint(scorer, folder, config.best_kimg)


def read_scores(folder: Path) -> dict[float, float]:
    """kimg -> score, of a run so far."""
    file = folder / SCORES
    if not file.exists():
        return {}
    try:
        return {float(kimg): float(score) for kimg, score in json.loads(file.read_text())["scores"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} is damaged: remove it, and {BEST} is chosen among the checkpoints to come"
        ) from error
