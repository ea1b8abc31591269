"""The load client: schedules, and a clock that starts when a request is due."""

from __future__ import annotations

import asyncio
import io
import socket
import sys
import time
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pytest

from benchmarks.answers import WrongAnswer
from benchmarks.load.alarm import Alarm
from benchmarks.load.answer import Answer
from benchmarks.load.client import LoadClient, is_kept
from benchmarks.load.job import Kept
from benchmarks.load.ledger import BROKEN, Ledger
from benchmarks.load.messages import receive, send
from benchmarks.load.mix import Mix
from benchmarks.load.outcome import Outcome
from benchmarks.load.pixels import check
from benchmarks.load.requests import ImageRequests
from benchmarks.load.schedule import even, poisson
from benchmarks.load.target import Model, Target
from generator import Generator
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


def test_as_many_wait_for_a_pause_as_come_meanwhile() -> None:
    """A pause of 200 ms in a load of one second: a fifth has to wait, and the tail shows it."""
    server = Server(pause_at=300, pause_s=0.2)
    with server.running() as port:
        due = poisson(1000, 1.0, random_seed=2)
        outcome = asyncio.run(LoadClient(port, requests(port)).open_loop(due, drain_s=5))
    assert (outcome.latency_ms > 20).mean() >= 0.2 * 0.9 * 0.8  # of 0.2 s, 0.18 are over 20 ms; Poisson
    assert np.percentile(outcome.latency_ms, 95) > 100


def test_requests_due_together_are_sent_together_late_by_no_more_than_told_and_never_early() -> None:
    with Server().running() as port:
        client = LoadClient(port, requests(port), together_s=0.05)
        outcome = asyncio.run(client.open_loop(even(1000, 0.5), drain_s=5))
    assert (outcome.status == 200).all()
    assert (outcome.lag_ms >= 0).all()
    assert (outcome.latency_ms >= outcome.lag_ms).all()
    assert np.median(outcome.lag_ms) > 10  # of 50 ms, those first due wait for those last
    assert (np.diff(np.sort(outcome.sent)) > 0.03).sum() <= 11


def test_a_client_that_is_slow_itself_is_not_to_be_believed() -> None:
    def slow(number: int) -> bytes:
        time.sleep(0.02)
        return requests(port)(number)

    with Server().running() as port:
        outcome = asyncio.run(LoadClient(port, slow).open_loop(even(100, 0.5), drain_s=5))
    assert outcome.lagged


def test_one_of_so_many_answers_is_kept_whole() -> None:
    with Server(refuse_at=(1,)).running() as port:
        client = LoadClient(port, requests(port), keep_every=10)
        outcome = asyncio.run(client.closed_loop(95, 1, drain_s=5))
    assert [number for number, _ in outcome.kept] == [n for n in range(95) if is_kept(n, 10)]
    assert 8 <= len(outcome.kept) <= 11
    assert Answer.parse(outcome.kept[0][1]).status == 429
    assert all(Answer.parse(raw).body == b"ok" for _, raw in outcome.kept[1:])


@pytest.mark.parametrize("period", [2, 3, 8, 10, 13, 16, 100])
def test_of_whatever_goes_round_every_kind_is_kept_about_as_often(period: int) -> None:
    counts = np.bincount([n % period for n in range(16 * period * 20) if is_kept(n, 16)], minlength=period)
    assert counts.min() >= 15
    assert counts.max() <= 25


def test_an_answer_without_a_body_is_wrong_unless_its_body_was_dropped(grey: Path) -> None:
    generator = Generator.open(grey, threads=1)
    model = Model("grey", "grey@1", True, generator.engine.key, generator.spec)
    mix = Mix(Target("127.0.0.1", 1), model, {"label": 1})
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert check([Kept(0, raw, is_whole=False)], mix, generator, 10) == 0
    with pytest.raises(WrongAnswer, match="0 bytes are no image"):
        check([Kept(0, raw, is_whole=True)], mix, generator, 10)


def test_a_closed_loop_ends_when_it_is_time() -> None:
    with Server().running() as port:
        client = LoadClient(port, requests(port))
        outcome = asyncio.run(client.closed_loop(10**6, 4, drain_s=5, seconds=0.3))
    assert 4 < len(outcome.due) < 10**6
    assert (outcome.status == 200).all()
    assert 0.2 < outcome.sent.max() < 0.5


def test_a_message_arrives_whole_through_a_pipe_that_takes_little_at_a_time() -> None:
    class Narrow(io.RawIOBase):
        """As a pipe whose write a signal interrupts."""

        content = b""

        def write(self, data: Any) -> int:
            self.content += bytes(data[:1000])
            return min(len(data), 1000)

    pipe, message = Narrow(), list(range(5000))
    send(cast(IO[bytes], pipe), message)
    assert receive(io.BytesIO(pipe.content)) == message


def test_two_see_one_ledger(tmp_path: Path) -> None:
    written = Ledger.create(tmp_path / "ledger", 5)
    assert np.isnan(written.due).all()
    written.sent[3], written.status[4] = 1.5, 429
    read = Ledger.open(tmp_path / "ledger")
    assert (read.sent[3], read.status[4], read.status[0]) == (1.5, 429, BROKEN)
    read.count_from(1.0)
    assert written.sent[3] == 0.5


@pytest.mark.parametrize("platform", [sys.platform, "elsewhere"])
def test_an_alarm_rings_once_and_not_before_its_time(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    rung: list[float] = []

    async def wait() -> float:
        alarm = Alarm(lambda: rung.append(time.perf_counter()))
        alarm.set(when := time.perf_counter() + 0.05)
        await asyncio.sleep(0.15)
        alarm.set(0.0)  # long past
        await asyncio.sleep(0.1)
        alarm.set(time.perf_counter() + 0.01)
        alarm.close()
        await asyncio.sleep(0.1)
        return when

    when = asyncio.run(wait())
    assert len(rung) == 2
    assert rung[0] >= when - 0.002  # asyncio's own rounds


def test_what_a_service_tells_of_its_times_is_read() -> None:
    answer = Answer(headers={"server-timing": "queue;dur=0.10, engine;dur=2.50, encode;dur=0.04"})
    assert answer.stages_ms == (0.10, 2.50, 0.04)
    assert answer.batch is None
    assert Answer(headers={"server-timing": "engine;dur=1", "x-batch-size": "12"}).stages_ms is None
    assert Answer(headers={"x-batch-size": "12"}).batch == 12


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
    assert not outcome.lagged  # nobody was there, but the client was in time


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
