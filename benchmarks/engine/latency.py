"""Times of many calls as percentiles, with how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z99 = 2.576  # standard deviations that hold 99 % of a normal distribution


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds, as they occurred."""

    count: int
    p50_ms: float
    p99_ms: float
    p99_low_ms: float  # with 99 % confidence p99 is from here
    p99_high_ms: float | None  # to here; None: too few calls to say

    @classmethod
    def of(cls, ms: Sequence[float]) -> Latency:
        """The interval is of ranks: how many of n calls are below p99 is binomial, whatever they take.

        Raises ValueError for no calls.
        """
        if not ms:
            raise ValueError("no calls: at least one is needed")
        ordered, count = np.sort(ms), len(ms)
        margin = Z99 * math.sqrt(count * 0.99 * 0.01)
        low, high = math.floor(count * 0.99 - margin), math.ceil(count * 0.99 + margin)
        p50, p99 = np.percentile(ordered, [50, 99], method="higher")
        return cls(
            count,
            float(p50),
            float(p99),
            float(ordered[max(0, low - 1)]),
            float(ordered[high - 1]) if high <= count else None,
        )
