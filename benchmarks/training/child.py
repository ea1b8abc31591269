"""python -m benchmarks.training.child: both loops in one process, in turns, on one preset's networks.

Writes a line of JSON: {"ours": [images/s of each repeat], "textbook": [...], "torch": version, ...}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks.training.textbook import Textbook
from training.data import Dataset
from training.networks import count_parameters
from training.presets import PRESETS
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
    ours, textbook = loops(options.preset)
    rates: dict[str, list[float]] = {"ours": [], "textbook": []}
    for repeat in range(options.repeats):
        turns = [("ours", ours), ("textbook", textbook)]
        for name, step in turns if repeat % 2 == 0 else turns[::-1]:
            rates[name].append(_rate(step, options.seconds))
    about = {
        "preset": options.preset,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch": PRESETS[options.preset].batch,
    }
    print(json.dumps({**about, **parameters(options.preset), **rates}))
    return 0


def trainer(preset: str) -> Trainer:
    """Ours, on random pixels, with the objective of the textbook."""
    size, channels = SHAPES[preset]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, size, size, channels), dtype=np.uint8)
    labels = np.arange(IMAGES) % CLASSES
    config = replace(PRESETS[preset], loss="nonsaturating", augment=(), mirror=False, device="cpu")
    dataset = Dataset(images, labels, tuple(f"class {n}" for n in range(CLASSES)))
    return Trainer(config, dataset.spec(config), dataset)


def loops(preset: str) -> tuple[Callable[[], int], Callable[[], int]]:
    """A step of each loop; both return the number of real images that they showed."""
    mine = trainer(preset)
    book = Textbook(mine.config, mine.spec, mine.images, mine.labels)

    def ours() -> int:
        torch.stack(list(mine.step())).sum().item()  # statistics are looked at as in a run
        return mine.images_a_step

    def textbook() -> int:
        book.step()
        return mine.config.batch

    return ours, textbook


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
