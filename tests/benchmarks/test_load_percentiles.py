"""Percentiles: those of the values, sure enough or left out, and merged as if there had been one process."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.load.histogram import LARGEST, SHARES, UNITS_PER_MS, Histogram
from benchmarks.load.intervals import needed, ranks


@pytest.mark.parametrize("count", [8, 100, 528, 5297, 262_742])
@pytest.mark.parametrize("share", SHARES.values())
def test_ranks_enclose_the_quantile_with_their_confidence_and_no_closer_ones_do(
    count: int, share: float
) -> None:
    found = ranks(count, share)
    assert (found is None) == (count < needed(share))
    if found is None:
        return
    low, high = found
    below = stats.binom(count, share)
    assert below.cdf(low - 1) <= 0.005 < below.cdf(low)
    assert below.sf(high - 1) <= 0.005 < below.sf(high - 2)
    assert low <= share * count <= high


def test_how_many_values_a_percentile_needs() -> None:
    assert [needed(share) for share in (0.5, 0.9, 0.99, 0.999)] == [8, 51, 528, 5296]
    assert ranks(527, 0.99) is None
    assert ranks(0, 0.5) is None


def test_percentiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(3).lognormal(1, 1.2, 20_011)
    histogram = Histogram.of(values)
    assert histogram.count == 20_011
    assert histogram.max_ms == pytest.approx(values.max(), rel=2e-3)
    for name, found in histogram.percentiles().items():
        right = np.percentile(values, 100 * SHARES[name], method="inverted_cdf")
        assert found is not None
        assert found.ms == pytest.approx(right, rel=2e-3, abs=1e-3)
        assert found.low_ms <= found.ms <= found.high_ms


def test_merged_histograms_are_the_histogram_of_all() -> None:
    values = np.random.default_rng(4).exponential(3, 9_000)
    parts = [Histogram.of(part).encode() for part in np.split(values, [10, 4000, 4000])]
    merged, whole = Histogram.merged(parts), Histogram.of(values)
    assert merged.count == whole.count == 9_000
    assert merged.percentiles() == whole.percentiles()
    assert [merged.at_rank(rank) for rank in range(1, 9001, 100)] == [
        whole.at_rank(rank) for rank in range(1, 9001, 100)
    ]


def test_what_never_happened_is_left_out_and_what_takes_for_ever_is_the_largest() -> None:
    histogram = Histogram.of(np.array([1.0, np.nan, np.inf]))
    assert histogram.count == 2
    assert histogram.max_ms == pytest.approx(LARGEST / UNITS_PER_MS, rel=2e-3)
    assert Histogram.of(np.array([])).max_ms is None
    assert Histogram.of(np.array([1.0])).percentile(0.5) is None
