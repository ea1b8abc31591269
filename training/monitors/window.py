"""What the steps between two lines of statistics have told, as one line."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from training.game import StepStats
from training.team import Team

Line = Mapping[str, float]  # of stats.jsonl
DIGITS = 5


class Window:
    """Sums over steps, kept on their device: to look at them is to wait for it."""

    def __init__(self, images_shown: int, waited_s: float, team: Team) -> None:
        self.team = team
        self._begin(images_shown, waited_s)

    def _begin(self, images_shown: int, waited_s: float) -> None:
        self._sums: Tensor | None = None
        self._steps = 0
        self._shown, self._waited_s, self._began = images_shown, waited_s, time.perf_counter()

    def add(self, stats: StepStats) -> None:
        numbers = torch.stack(list(stats))
        self._sums = numbers if self._sums is None else self._sums + numbers
        self._steps += 1

    @property
    def finite(self) -> bool:
        """Whether all that was told so far is numbers."""
        return self._sums is None or bool(self._sums.isfinite().all())

    def close(self, images_shown: int, waited_s: float) -> dict[str, float]:
        """The line, and the beginning of the next window."""
        assert self._sums is not None
        means = self.team.mean(self._sums / self._steps).tolist()
        told = dict(zip(StepStats._fields, means, strict=True))
        seconds = time.perf_counter() - self._began
        line = {
            "kimg": images_shown / 1000,
            "images_per_s": round((images_shown - self._shown) / seconds, 1),
            "data_wait": round((waited_s - self._waited_s) / seconds, DIGITS),  # share of the time
            **{name: _rounded(told[name]) for name in told if not name.endswith("_spread")},
        }
        if told["real_spread"] > 0:  # else no two images of a batch were of one class, or all are the same
            line["diversity"] = _rounded(told["fake_spread"] / told["real_spread"])
        self._begin(images_shown, waited_s)
        return line


def _rounded(number: float) -> float:
    """To so many significant digits: gradients may be tiny."""
    return float(f"{number:.{DIGITS}g}")
