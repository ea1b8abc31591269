"""GAN-test (Shmelkov, Schmid, Alahari 2018): does a judge see the class that was asked for?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator import Generator
from training.evaluation.judge import Judge


@dataclass(frozen=True)
class GanTest:
    samples: int
    agreement: float  # share of generated images in which the judge sees the class asked for
    per_class: dict[str, float]
    judge_accuracy: float  # the judge's own, on real images it did not see: what agreement is to be held to
    judge_held_out: int  # on so many


def gan_test(generator: Generator, judge: Judge, samples: int) -> GanTest:
    """Seeds 0 .. samples - 1, the classes in turn, no truncation."""
    spec = generator.spec
    asked = np.arange(samples) % spec.num_classes
    seen = judge.classify(generator.images(asked.tolist(), range(samples)))
    right = seen == asked
    per_class = {
        name: round(float(right[asked == index].mean()), 4) for index, name in enumerate(spec.class_names)
    }
    return GanTest(
        samples=samples,
        agreement=round(float(right.mean()), 4),
        per_class=per_class,
        judge_accuracy=round(judge.accuracy, 4),
        judge_held_out=judge.held_out,
    )
