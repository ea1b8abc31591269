"""The search for a rate, on a queue that is known: one server, each answer takes a millisecond."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.load.histogram import Histogram
from benchmarks.load.measured import Measured
from benchmarks.load.outcome import Outcome
from benchmarks.load.schedule import poisson
from benchmarks.load.search import FACTORS, SHARE, find_rate, limited_by_client, passes, sweep

SERVICE_S = 0.001
PEAK_PER_S = 1 / SERVICE_S


def simulated(rate_per_s: float, seconds: float, late_s: float = 0.0) -> Measured:
    """What a load of M/D/1 would show, its client `late_s` late."""
    due = poisson(rate_per_s, seconds, random_seed=1)
    done, free_at = np.empty_like(due), 0.0
    for number, arrival in enumerate(due):
        free_at = max(free_at, arrival) + SERVICE_S
        done[number] = free_at
    status = np.full(len(due), 200, np.int16)
    outcome = Outcome(due, due + late_s, done, status, connections=1, cpu_s=0)
    return Measured(
        rate_per_s, seconds, outcome, not outcome.lagged, 1, "ordinary",
        Histogram.of(outcome.latency_ms), Histogram.of(outcome.lag_ms), np.empty((0, 5)), {},
    )  # fmt: skip


@pytest.mark.parametrize("bound_ms", [3.0, 10.0])
def test_the_highest_rate_within_the_bound_is_found(bound_ms: float) -> None:
    seen: list[Measured] = []
    tries, found = find_rate(simulated, PEAK_PER_S, bound_ms, 20, seen.append)
    assert found is not None
    assert found is tries[-1] is seen[-1]
    assert not limited_by_client(tries, found, bound_ms)
    assert found.within(bound_ms) >= SHARE
    assert found.rate_per_s is not None
    above = simulated(1.15 * found.rate_per_s, 20)
    assert not passes(above, bound_ms)


def test_a_bound_that_no_rate_keeps_is_told() -> None:
    assert find_rate(simulated, PEAK_PER_S, SERVICE_S * 500, 20, lambda one: None)[1] is None


def test_a_rate_at_which_the_client_lagged_is_not_found() -> None:
    def late(rate_per_s: float, seconds: float) -> Measured:
        return simulated(rate_per_s, seconds, late_s=0.02 if rate_per_s > 300 else 0.0)

    tries, found = find_rate(late, PEAK_PER_S, 50, 20, lambda one: None)
    assert limited_by_client(tries, found, 50)
    assert found is not None
    assert found.valid
    assert found.rate_per_s is not None
    assert found.rate_per_s <= 300


def test_refused_requests_count_as_late() -> None:
    measured = simulated(100, 20)
    measured.outcome.status[:100] = 429
    assert measured.within(1e9) == pytest.approx(1 - 100 / measured.requests)
    assert not passes(measured, 1e9)


def test_a_sweep_goes_from_a_tenth_of_the_peak_to_twice_as_much() -> None:
    loads = list(sweep(simulated, PEAK_PER_S, 1))
    assert [load.rate_per_s for load in loads] == [factor * PEAK_PER_S for factor in FACTORS]
    assert (FACTORS[0], FACTORS[-1]) == (0.1, 2.0)
