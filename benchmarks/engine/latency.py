"""Times of many calls as percentiles, with how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.load.intervals import ranks


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds, as they occurred."""

    count: int
    p50_ms: float
    p99_ms: float
    p99_low_ms: float | None  # with 99 % confidence p99 is from here to
    p99_high_ms: float | None  # here; None: too few calls to say

    @classmethod
    def of(cls, ms: Sequence[float]) -> Latency:
        """Raises ValueError for no calls."""
        if not ms:
            raise ValueError("no calls: at least one is needed")
        ordered, between = np.sort(ms), ranks(len(ms), 0.99)
        p50, p99 = map(float, np.percentile(ordered, [50, 99], method="higher"))
        low, high = (float(ordered[rank - 1]) for rank in between) if between else (None, None)
        return cls(len(ms), p50, p99, low, high)
