"""Open loops at a chosen rate: what is asked is asked once, and what came of it is told."""

from __future__ import annotations

import json
import os
import subprocess

from benchmarks.load.histogram import Histogram
from benchmarks.offered import offer
from benchmarks.questions import ONE_PNG, ONE_PNG_V2, Question
from benchmarks.servers import Running
from benchmarks.servers import Server as Process
from tests.benchmarks.responder import Server


def running(port: int, question: Question) -> Running:
    process = subprocess.Popen(["true"])
    process.wait()
    return Running(Process("test", ("true",), os.environ, "/", question), port, process, 1, 1)


def test_an_open_loop_asks_no_request_twice_and_counts_what_was_refused() -> None:
    with (server := Server(refuse_at=(5, 6))).running() as port:
        seen = offer(running(port, ONE_PNG), num_classes=3, rate_per_s=200, seconds=0.5)
    assert len(server.bodies) == seen.requests == seen.answered + 2
    assert len(set(server.bodies)) == seen.requests
    assert {json.loads(body)["label"] for body in server.bodies} == {0, 1, 2}
    assert seen.rate_per_s == 200
    latency = Histogram.merged([seen.latency])
    assert latency.count == seen.answered
    assert latency.percentiles()["p50"]
    assert seen.p99_ms is None  # a hundred answers are too few


def test_a_server_is_asked_in_its_own_protocol() -> None:
    with (server := Server()).running() as port:
        offer(running(port, ONE_PNG_V2), num_classes=3, rate_per_s=100, seconds=0.2)
    assert {tensor["name"] for tensor in json.loads(server.bodies[0])["inputs"]} == {"label", "seed"}


def test_without_a_single_answer_there_is_no_latency() -> None:
    with Server(refuse_at=tuple(range(1, 1000))).running() as port:
        seen = offer(running(port, ONE_PNG), num_classes=3, rate_per_s=100, seconds=0.2)
    assert (seen.answered, seen.p99_ms, Histogram.merged([seen.latency]).max_ms) == (0, None, None)
