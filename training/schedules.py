"""Options that change over a run: each X that has an X_end goes there along half a cosine, as in R3GAN."""

from __future__ import annotations

import math

from training.config import TrainConfig


def scheduled(config: TrainConfig, name: str, progress: float) -> float:
    """The option's value when `progress` of the run, 0 to 1, is over.

    end + (start - end) (1 + cos(pi progress)) / 2; constant where `name`_end is None.
    """
    start: float = getattr(config, name)
    end: float | None = getattr(config, f"{name}_end")
    if end is None:
        return start
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
