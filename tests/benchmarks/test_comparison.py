"""A comparison with peers: ratios visit by visit, the tables, the plot, and whether two runs agree."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from benchmarks import agreement, peers_plot
from benchmarks.comparison import AGAIN, OWN_HALF, Entry, against, best_peer, turn
from benchmarks.load.histogram import Histogram
from benchmarks.questions import ONE_PNG
from benchmarks.repeats import Spread
from benchmarks.results import Json, ResultError
from benchmarks.servers import Server
from benchmarks.standings import peers_tables


def open_loop(rate_per_s: float, answered: int = 900, slowest_ms: float = 8.0, valid: bool = True) -> Json:
    """Nine of ten answers take 2 ms."""
    times = np.full(answered, 2.0)
    times[: answered // 10] = slowest_ms
    latency = Histogram.of(times).encode()
    return {
        "rate_per_s": rate_per_s, "requests": 1000, "answered": answered, "latency": latency, "valid": valid,
    }  # fmt: skip


def visits(*rates: float) -> list[Json]:
    """Visits with these requests a second, the same at every number of connections."""
    return [
        {
            "ready_s": 1.0,
            "first_request_ms": 5.0,
            "checked_images": 10,
            "loads": {
                count: {"requests_per_s": rate, "p50_ms": 1.0, "p99_ms": 2.0} for count in ("1", "16", "64")
            },
            "offered": {OWN_HALF: open_loop(rate / 2)},
        }
        for rate in rates
    ]


TUNED: Json = {
    "fastapi": {
        "ours": {"best": {"workers": 2}, "tried": [{}] * 8},
        "shipped": {"best": {"workers": 1}, "tried": [{}] * 8},
    }
}


def comparison() -> Json:
    """The machine got slower by half after the first visit; the true ratio to the fast peer is 2."""
    return {
        "manifest": {
            "settings": {"repeats": 3, "seconds": 1, "encoders": ["ours", "shipped"]},
            "hardware": {"cores": 2, "processor": "a processor"},
            "generator": {"id": "fashion@1"},
        },
        "tuned": TUNED,
        "visits": {
            "mintage": visits(4000, 2000, 2000),
            "fastapi, ours": visits(1000, 500, 500),
            "mosec, ours": visits(2000, 1000, 1000),
            "triton, shipped": visits(3000),
            AGAIN: visits(4000, 1900, 2000),
        },
        "failed": {"triton, shipped": "ended with 1\nlog"},
    }


def changed(name: str, *rates: float) -> Json:
    """The comparison on another day, on which one server had other requests a second."""
    result = comparison()
    result["visits"][name] = visits(*rates)
    return result


def test_the_best_peer_is_the_fastest_that_never_failed() -> None:
    result = comparison()
    assert best_peer(result, "ours", 64) == "mosec, ours"
    assert best_peer(result, "shipped", 64) is None
    assert against(result, "fastapi, ours", 16) == Spread(4, 4, 4, 3)


def test_a_comparison_that_was_broken_off_has_the_ratios_so_far() -> None:
    assert against(changed("mosec, ours", 2000), "mosec, ours", 1) == Spread(2, 2, 2, 1)
    assert against(changed("mintage", 4000), "mosec, ours", 1) == Spread(2, 2, 2, 1)


def test_the_tables_of_a_comparison() -> None:
    rates, ratios, waits, tuned, failed = peers_tables(comparison())
    assert rates.rows[0] == ("mintage", "2,000", "2,000", "2,000", "", "2.00 / 8.00", "1.00")
    assert [row[0] for row in rates.rows] == ["mintage", "fastapi, ours", "mosec, ours", AGAIN]
    assert [row[4] for row in rates.rows[1:]] == ["4.00", "2.00", "1.00"]
    assert [row[0] for row in ratios.rows] == ["fastapi, ours", "mosec, ours", AGAIN]
    assert ratios.rows[1][3] == "2.00 (2.00-2.00) *"
    assert ratios.rows[2][3].strip() == "1.00 (1.00-1.05)"
    assert waits.rows[0][1:4] == ("1,000 (1,000-2,000)", "2.00 (2.00-2.00)", "8.00 (8.00-8.00)")
    assert waits.rows[0][4] == "300 of 3,000"
    assert [row[0] for row in waits.rows] == [row[0] for row in rates.rows]
    assert tuned.rows == [("fastapi", "8", "workers 2", "workers 1")]
    assert failed.rows == [("triton, shipped", "ended with 1")]


def test_percentiles_of_open_loops_are_those_of_all_visits_together() -> None:
    result = comparison()
    for visit in result["visits"]["mosec, ours"][1:]:  # 90 of 2,700 answers are slow: p99, though not p50
        visit["offered"][OWN_HALF] = open_loop(500, slowest_ms=2.0)
    waits = peers_tables(result)[2]
    assert waits.rows[2][2:4] == ("2.00 (2.00-2.00)", "8.00 (8.00-8.00)")


def test_an_open_loop_whose_client_lagged_is_marked_and_too_few_answers_have_no_latency() -> None:
    result = comparison()
    for visit in result["visits"]["mosec, ours"]:
        visit["offered"][OWN_HALF] = open_loop(500, answered=100, valid=False)
    rates, _, waits, *_ = peers_tables(result)
    assert rates.rows[2][5] == "2.00 / -"
    assert waits.rows[2][0] == "mosec, ours (INVALID)"
    assert waits.rows[2][2:] == ("2.00 (2.00-2.00)", "-", "2,700 of 3,000")


def test_each_round_begins_with_another_server_and_has_each_once() -> None:
    names = ["mintage", "a", "b", "c", "d", AGAIN]
    contenders = [Entry(Server(name, (), {}, "/", ONE_PNG), "ours") for name in names]
    rounds = [[entry.server.name for entry in turn(contenders, repeat, 3)] for repeat in range(3)]
    assert [one[0] for one in rounds] == ["mintage", AGAIN, "c"]
    for one in rounds:
        assert sorted(one) == sorted(names)
        assert abs(one.index("mintage") - one.index(AGAIN)) > 1


def test_a_result_without_histograms_is_refused() -> None:
    result = comparison()
    del result["visits"]["mosec, ours"][0]["offered"][OWN_HALF]["latency"]
    with pytest.raises(ResultError, match="run it again"):
        peers_tables(result)


def test_where_ours_failed_there_are_neither_tables_nor_a_plot(tmp_path: Path) -> None:
    result = comparison() | {"failed": {"mintage": "no answer"}}
    (failed,) = peers_tables(result)
    assert failed.rows == [("mintage", "no answer")]
    assert not peers_plot.draw(result, tmp_path / "peers.svg")


def test_the_plot_tells_the_ratio_to_the_best_peer_and_is_the_same_each_time(tmp_path: Path) -> None:
    assert peers_plot._headline(comparison()) == "At 64 connections: 2.0 x mosec with our engine"
    for name in ("one.svg", "other.svg"):
        assert peers_plot.draw(comparison(), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_two_runs_agree_while_their_ranges_overlap() -> None:
    pairs = agreement.pairs(comparison(), changed("mosec, ours", 1900, 1000, 1000))
    assert len(pairs) == 9
    assert agreement.holds(pairs)


def test_a_ratio_that_moved_out_of_its_range_is_told() -> None:
    pairs = agreement.pairs(comparison(), changed("mosec, ours", 1900, 950, 960))
    assert not agreement.holds(pairs)
    assert not list(agreement.reversals(pairs))
    table = agreement.table(pairs)
    assert table.rows[1][1] == "2.00 / 2.11 moved"
    assert "6 of 9 ratios hold" in table.note


def test_an_order_that_turned_round_is_told() -> None:
    pairs = agreement.pairs(comparison(), changed("mosec, ours", 800, 400, 400))
    turned = [(one.server, other.server) for one, other in agreement.reversals(pairs)]
    assert turned == [("fastapi, ours", "mosec, ours")] * 3
    assert "fastapi, ours and mosec, ours at 64" in agreement.table(pairs).note


def test_runs_of_other_settings_are_refused_and_servers_of_one_run_are_told() -> None:
    other = copy.deepcopy(comparison())
    assert agreement.alone(comparison(), other) == []
    del other["visits"]["mosec, ours"]
    assert agreement.alone(comparison(), other) == ["mosec, ours"]
    other["manifest"]["generator"]["id"] = "fashion@2"
    other["manifest"]["settings"]["seconds"] = 8
    with pytest.raises(ResultError, match="differ in model, seconds:"):
        agreement.pairs(comparison(), other)


def test_results_with_nothing_in_common_are_refused() -> None:
    other = copy.deepcopy(comparison())
    other["visits"] = {"mintage": visits(1, 1, 1)}
    with pytest.raises(ResultError, match="no server in common"):
        agreement.pairs(comparison(), other)
    with pytest.raises(ResultError, match="mintage is not in both"):
        agreement.pairs(comparison(), comparison() | {"failed": {"mintage": "no answer"}})
