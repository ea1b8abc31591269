"""How sure a percentile is: confidence intervals from order statistics (Conover 1999, section 3.2).

Of n independent values, how many lie below the true p-quantile is binomial (n, p). So the values at two ranks
enclose it with a probability that depends on nothing else. Answers of a queue are not independent of their
neighbours: the true interval is wider.
"""

from __future__ import annotations

import math

import numpy as np

CONFIDENCE = 0.99


def ranks(count: int, share: float, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """The ranks (from 1) of the values that enclose the `share`-quantile of `count` values.

    None where there are too few: no value is sure enough to lie beyond it.
    """
    if count < 1:
        return None
    first, below = _distribution(count, share)  # below[i]: P(binomial <= first + i)
    tail = (1 - confidence) / 2
    low = first + int(np.searchsorted(below, tail, side="right"))  # P(binomial < low) <= tail
    high = first + int(np.searchsorted(below, 1 - tail, side="left")) + 1  # P(binomial >= high) <= tail
    return (low, high) if low >= 1 and high <= count else None


def needed(share: float, confidence: float = CONFIDENCE) -> int:
    """The least number of values with an interval for this quantile."""
    tail = (1 - confidence) / 2
    return math.ceil(math.log(tail) / math.log(max(share, 1 - share)))


def _distribution(count: int, share: float) -> tuple[int, np.ndarray]:
    """The binomial's cumulative probabilities where they are neither 0 nor 1, and the first such place."""
    mean, deviation = count * share, math.sqrt(count * share * (1 - share))
    first = max(0, math.floor(mean - 12 * deviation - 30))
    last = min(count, math.ceil(mean + 12 * deviation + 30))
    places = np.arange(first, last, dtype=np.float64)
    steps = np.log((count - places) / (places + 1)) + math.log(share / (1 - share))  # of P(k + 1) / P(k)
    logarithms = np.concatenate([[_log_probability(first, count, share)], steps])
    return first, np.cumsum(np.exp(np.cumsum(logarithms)))


def _log_probability(successes: int, count: int, share: float) -> float:
    failures = count - successes
    ways = math.lgamma(count + 1) - math.lgamma(successes + 1) - math.lgamma(failures + 1)
    return ways + successes * math.log(share) + failures * math.log(1 - share)
