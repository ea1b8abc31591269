"""The load client: schedules, and a clock that starts when a request is due."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest

from benchmarks.load.client import LoadClient
from benchmarks.load.ledger import BROKEN
from benchmarks.load.outcome import Outcome
from benchmarks.load.requests import ImageRequests
from benchmarks.load.schedule import even, poisson
from tests.benchmarks.responder import Server


def requests(port: int) -> ImageRequests:
    return ImageRequests(port, "/v1/images", '{"label":%d,"seed":%d}', num_classes=3, first_seed=7)


@pytest.mark.parametrize("max_connections", [1, 500])
def test_latency_counts_from_when_a_request_was_due(max_connections: int) -> None:
    """A server stands still for 300 ms: what was due meanwhile waited for what was left of that."""
    pause_s, rate = 0.3, 400.0
    server = Server(pause_at=120, pause_s=pause_s)
    with server.running() as port:
        client = LoadClient(port, requests(port), max_connections)
        outcome = asyncio.run(client.open_loop(even(rate, 1.0), drain_s=5))
    assert len(outcome.due) == 400
    assert (outcome.status == 200).all()
    latency_s = outcome.latency_ms / 1000
    pause_began = outcome.due[119]  # the 120th request, give or take those that overtook it
    meanwhile = (outcome.due > pause_began + 0.03) & (outcome.due < pause_began + pause_s - 0.03)
    assert meanwhile.sum() > 80
    left_of_pause = pause_began + pause_s - outcome.due[meanwhile]
    assert (latency_s[meanwhile] > left_of_pause - 0.03).all()
    assert latency_s.max() > 0.27


def test_one_connection_sends_late_and_says_so() -> None:
    """What waits for a connection is the client's own lag: such a run is not valid."""
    due = even(400, 1.0)
    with (server := Server(pause_at=120, pause_s=0.3)).running() as port:
        outcome = asyncio.run(LoadClient(port, requests(port), 1).open_loop(due, drain_s=5))
    assert len(server.bodies) == 400
    assert outcome.lagged
    assert not outcome.report(1.0, 1000)["valid"]


def test_no_two_requests_are_alike_and_each_is_sent_once() -> None:
    server = Server()
    with server.running() as port:
        asyncio.run(LoadClient(port, requests(port)).open_loop(poisson(1000, 0.3, 1), drain_s=5))
    assert len(server.bodies) == len(poisson(1000, 0.3, 1))
    assert len(set(server.bodies)) == len(server.bodies)
    assert {body[:10] for body in server.bodies} == {b'{"label":0', b'{"label":1', b'{"label":2'}


def test_seeds_wrap_and_skip_those_of_the_same_request() -> None:
    ask = ImageRequests(80, "/", "%d %d", num_classes=10, first_seed=2**32 - 64, images=64)
    assert [ask(number).split()[-2:] for number in range(3)] == [
        [b"0", b"4294967232"], [b"1", b"0"], [b"2", b"64"],
    ]  # fmt: skip


def test_refusals_and_lost_connections_are_counted_and_the_load_goes_on() -> None:
    server = Server(refuse_at=(10, 20), hang_up_at=(30,))
    with server.running() as port:
        outcome = asyncio.run(LoadClient(port, requests(port)).open_loop(even(300, 0.5), drain_s=5))
    report = outcome.report(0.5, 1000)
    assert report["requests"] == 150
    assert report["broken"] == 1
    assert report["statuses"] == {"200": 147, "429": 2}


@pytest.mark.parametrize("connections", [1, 8])
def test_a_closed_loop_asks_exactly_as_often_as_told(connections: int) -> None:
    server = Server(hang_up_at=(50,))
    with server.running() as port:
        outcome = asyncio.run(LoadClient(port, requests(port)).closed_loop(200, connections, drain_s=5))
    assert len(server.bodies) == 200
    assert (outcome.status == 200).sum() == 199
    assert (outcome.status == BROKEN).sum() == 1
    assert outcome.connections <= connections


def test_without_a_server_every_request_is_broken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        client = LoadClient(taken.getsockname()[1], requests(1))
        outcome = asyncio.run(client.open_loop(even(200, 0.1), drain_s=1))
    assert outcome.report(0.1, 1000)["broken"] == 20
    assert outcome.goodput(0.1, 1000) == [0]


def test_poisson_arrivals_come_again_with_their_seed_and_at_their_rate() -> None:
    times = poisson(1000, 20, random_seed=5)
    np.testing.assert_array_equal(times, poisson(1000, 20, random_seed=5))
    assert not np.array_equal(times[:100], poisson(1000, 20, random_seed=6)[:100])
    assert (np.diff(times) > 0).all()
    assert times[0] >= 0
    assert times[-1] < 20
    assert abs(len(times) - 20_000) < 6 * 20_000**0.5  # six standard deviations
    gaps = np.diff(times)
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05  # exponential: as wide as long


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (10, 0), (float("nan"), 1)])
def test_a_schedule_of_nothing_is_refused(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        poisson(rate, seconds, 0)


def test_goodput_is_right_answers_in_time() -> None:
    outcome = Outcome(
        due=np.array([0.0, 0.1, 0.2, 0.3, 0.4]),
        sent=np.array([0.0, 0.1, 0.2, 0.3, np.nan]),
        done=np.array([0.05, 0.9, 0.25, 2.0, np.nan]),
        status=np.array([200, 200, 429, 200, BROKEN], np.int16),
        connections=1,
        cpu_s=0,
    )
    assert outcome.goodput(seconds=1, timeout_ms=5000) == [2]  # the fourth came after the end
    assert outcome.goodput(seconds=1, timeout_ms=100) == [1]
    assert outcome.goodput(seconds=1, timeout_ms=5000, parts=2) == [2, 2]  # one in half a second is two
    assert outcome.lagged  # one was due and never sent
    report = outcome.report(1, 1000)
    assert (report["broken"], report["late"]) == (1, 1)
    assert report["statuses"] == {"200": 3, "429": 1}
