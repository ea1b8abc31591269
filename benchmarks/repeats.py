"""Repeats of a measurement: a median and how far they spread, and ratios of two that took turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of repeats and their extremes: with five or so there is no percentile to speak of."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("no repeats: at least one is needed")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def is_below(self, other: Spread) -> bool:
        """The two are told apart, and this is the smaller one: their ranges don't overlap."""
        return self.high < other.low


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """ours / theirs, each repeat with the one that was measured next to it, so that drift cancels.

    Raises ValueError for two lengths or none.
    """
    return Spread.of([our / their for our, their in zip(ours, theirs, strict=True)])
