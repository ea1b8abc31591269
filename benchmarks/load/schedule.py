"""When requests are due: seconds from the start of a run, ascending, fixed before the run begins."""

from __future__ import annotations

import numpy as np

from benchmarks.load.ledger import Times


def poisson(rate_per_s: float, seconds: float, random_seed: int) -> Times:
    """Arrivals of many independent clients: gaps are exponential. The same for one `random_seed`.

    Raises ValueError for a rate or length that is not positive.
    """
    _check(rate_per_s, seconds)
    source = np.random.Generator(np.random.Philox(random_seed))
    times: list[Times] = []
    end = 0.0
    while end < seconds:
        gaps = source.exponential(1 / rate_per_s, size=max(64, round(rate_per_s * seconds / 4)))
        times.append(end + np.cumsum(gaps))
        end = float(times[-1][-1])
    arrivals = np.concatenate(times)
    return arrivals[arrivals < seconds]


def even(rate_per_s: float, seconds: float) -> Times:
    """One request every 1 / rate seconds. Raises ValueError as `poisson` does."""
    _check(rate_per_s, seconds)
    return np.arange(round(rate_per_s * seconds), dtype=np.float64) / rate_per_s


def _check(rate_per_s: float, seconds: float) -> None:
    if not (rate_per_s > 0 and seconds > 0):
        raise ValueError(f"rate {rate_per_s:g}/s for {seconds:g} s: both must be above 0")
