"""python -m benchmarks.training.child: all loops in one process, in turns, on one preset's networks.

Writes a line of JSON: {"ours": [images/s of each repeat], "unwatched": [...], "one_stage": [...], "textbook":
[...], ...}. "Unwatched" is our loop without its monitors, "one_stage" our loop with that option.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.training.textbook import Textbook
from training.data import Dataset
from training.monitors.held_out import HeldOut
from training.monitors.window import Window
from training.networks import count_parameters
from training.presets import PRESETS
from training.team import ALONE
from training.trainer import Trainer

SHAPES = {"fashion-28": (28, 1), "cifar-32": (32, 3), "rgb-64": (64, 3)}  # pixels and channels of the data
IMAGES, CLASSES = 2048, 10
WARM_UP_STEPS = 3


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.training.child", description=__doc__)
    parser.add_argument("--preset", choices=sorted(SHAPES), required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    steps = loops(options.preset)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(options.repeats):
        for name, step in list(steps.items())[:: 1 if repeat % 2 == 0 else -1]:
            rates[name].append(_rate(step, options.seconds))
    about = {
        "preset": options.preset,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": PRESETS[options.preset].batch,
    }
    print(json.dumps({**about, **parameters(options.preset), **rates}))
    return 0


def random_images(preset: str) -> Dataset:
    """Random pixels of the shape of a preset's data."""
    size, channels = SHAPES[preset]
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, channels), dtype=np.uint8)
    return Dataset(images, np.arange(IMAGES) % CLASSES, tuple(f"class {n}" for n in range(CLASSES)))


def trainer(preset: str, one_stage: bool = False) -> Trainer:
    """Ours, with the objective of the textbook."""
    dataset = random_images(preset)
    config = replace(
        PRESETS[preset], loss="nonsaturating", one_stage=one_stage, augment=(), mirror=False, device="cpu"
    )
    return Trainer(config, dataset.spec(config), dataset)


def loops(preset: str) -> dict[str, Callable[[], int]]:
    """A step of each loop; each returns the number of real images that it showed."""
    mine = trainer(preset)
    book = Textbook(mine.config, mine.spec, mine.images, mine.labels)

    def unwatched() -> int:
        with patch.multiple("training.game", same_class_distances=_nothing, gradient_norm=_nothing):
            stats = mine.step()
        assert torch.isfinite(stats.generator_loss + stats.discriminator_loss)
        return mine.images_a_step

    def textbook() -> int:
        book.step()
        return mine.config.batch

    return {
        "ours": _watched(mine, random_images(preset)),
        "unwatched": unwatched,
        "one_stage": _watched(trainer(preset, one_stage=True), random_images(preset)),
        "textbook": textbook,
    }


def _watched(mine: Trainer, dataset: Dataset) -> Callable[[], int]:
    """A step as in a run, its statistics looked at."""
    held_out = HeldOut(mine, dataset, dataset)  # for its cost, whichever images
    window = Window(0, 0, ALONE)

    def step() -> int:
        window.add(mine.step())
        assert window.finite
        if mine.images_shown % (mine.config.stats_kimg * 1000) < mine.images_a_step:
            window.close(mine.images_shown, 0)
            held_out.scores()
        return mine.images_a_step

    return step


def _nothing(*_: object) -> torch.Tensor:
    return torch.zeros(())


def parameters(preset: str) -> dict[str, int]:
    mine = trainer(preset)
    return {
        "generator_parameters": count_parameters(mine.generator),
        "discriminator_parameters": count_parameters(mine.discriminator),
    }


def _rate(step: Callable[[], int], seconds: float) -> float:
    """Images a second."""
    for _ in range(WARM_UP_STEPS):
        step()
    images, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        images += step()
    return images / passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
