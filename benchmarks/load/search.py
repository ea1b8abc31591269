"""The highest rate at which 99 % of all requests are answered in time; the sweep from little to too much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.load.measured import Measured

FACTORS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)  # of the peak
SHARE = 0.99  # of all requests: refused and failed ones count as late
PRECISION = 0.05  # of the rate that is looked for
MOST_TRIES = 8
CONFIRMATIONS = 4
BACK = 0.95  # a rate that is not confirmed is lowered to so much of it

Load = Callable[[float, float], Measured]  # rate a second, seconds -> an open loop
Seen = Callable[[Measured], None]


def passes(measured: Measured, bound_ms: float) -> bool:
    """Is p99 within the bound, of all requests, in a run that can be believed?"""
    return measured.valid and measured.within(bound_ms) >= SHARE


def limited_by_client(tries: Sequence[Measured], found: Measured | None, bound_ms: float) -> bool:
    """Did the client lag in the lowest failing try above the rate that was found, so that it is the limit?"""
    floor = (found.rate_per_s or 0.0) if found else 0.0
    above = [one for one in tries if (one.rate_per_s or 0.0) > floor and not passes(one, bound_ms)]
    return bool(above) and not min(above, key=lambda one: one.rate_per_s or 0.0).valid


def sweep(load: Load, peak_per_s: float, seconds: float) -> Iterator[Measured]:
    """Loads from a tenth of the peak to twice as much."""
    for factor in FACTORS:
        yield load(factor * peak_per_s, seconds)


def find_rate(
    load: Load, peak_per_s: float, bound_ms: float, seconds: float, seen: Seen
) -> tuple[list[Measured], Measured | None]:
    """Bisects between nothing and the peak with short loads, then confirms with whole ones.

    Every load of the search, and the one that confirmed; None where no rate did.
    """
    tries: list[Measured] = []

    def attempt(rate: float, length_s: float) -> bool:
        tries.append(load(rate, length_s))
        seen(tries[-1])
        return passes(tries[-1], bound_ms)

    low, high = 0.0, peak_per_s * (1 + PRECISION)
    while high - low > PRECISION * high and len(tries) < MOST_TRIES:
        middle = (low + high) / 2
        low, high = (middle, high) if attempt(middle, max(2.0, seconds / 4)) else (low, middle)
    for _ in range(CONFIRMATIONS if low else 0):
        if attempt(low, seconds):
            return tries, tries[-1]
        low *= BACK
    return tries, None
