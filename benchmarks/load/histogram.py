"""Latencies in an HDR histogram: one a process, merged by adding counts; percentiles with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram

from benchmarks.load.intervals import ranks
from benchmarks.load.ledger import Times

UNITS_PER_MS = 1000  # it counts whole microseconds
LARGEST = 3_600 * 1000 * UNITS_PER_MS  # an hour; what takes longer, or for ever, counts as that
DIGITS = 3  # a value is off by a thousandth at most
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class Percentile:
    """A percentile in ms, and the interval that holds it with a confidence of 99 %."""

    ms: float
    low_ms: float
    high_ms: float


class Histogram:
    """Milliseconds, as many as one likes, in some hundred kilobytes."""

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, LARGEST, DIGITS)

    @classmethod
    def of(cls, values_ms: Times) -> Histogram:
        """NaN is left out, infinity is the largest."""
        histogram = cls()
        values = values_ms[~np.isnan(values_ms)] * UNITS_PER_MS
        units = np.clip(np.rint(values), 0, LARGEST).astype(np.int64)
        for unit, count in zip(*np.unique(units, return_counts=True), strict=True):
            histogram._counts.record_value(int(unit), int(count))
        return histogram

    @classmethod
    def merged(cls, encoded: list[str]) -> Histogram:
        """Of what several `encode` gave: counts are added, percentiles never averaged."""
        histogram = cls()
        for text in encoded:
            histogram._counts.decode_and_add(text)
        return histogram

    def encode(self) -> str:
        """In the format of HdrHistogram V2, compressed, base64: tools of any language read it."""
        text: bytes = self._counts.encode()
        return text.decode()

    @property
    def count(self) -> int:
        return int(self._counts.get_total_count())

    @property
    def max_ms(self) -> float | None:
        return self._counts.get_max_value() / UNITS_PER_MS if self.count else None

    def at_rank(self, rank: int) -> float:
        """The value with that place, from 1, in ascending order; in ms."""
        return float(self._counts.get_value_at_percentile(100 * rank / self.count)) / UNITS_PER_MS

    def percentile(self, share: float) -> Percentile | None:
        """The smallest value that at least this share does not exceed; None for too few values."""
        if (between := ranks(self.count, share)) is None:
            return None
        rank = max(1, int(np.ceil(share * self.count - 1e-9)))
        return Percentile(self.at_rank(rank), *map(self.at_rank, between))

    def percentiles(self) -> dict[str, Percentile | None]:
        """Those of SHARES."""
        return {name: self.percentile(share) for name, share in SHARES.items()}
