"""Requests that come at a rate of their own, whatever the server does, and how long each waits."""

from __future__ import annotations

import random
from dataclasses import dataclass

import uvloop

from benchmarks.load.client import LoadClient
from benchmarks.load.histogram import Histogram
from benchmarks.load.outcome import OK, Outcome
from benchmarks.load.priority import prompt
from benchmarks.load.requests import ImageRequests
from benchmarks.load.schedule import poisson
from benchmarks.servers import Running

TIMEOUT_S = 10.0  # an answer that takes longer is none


@dataclass(frozen=True)
class Offered:
    """One open loop of Poisson arrivals."""

    rate_per_s: float
    requests: int
    answered: int  # with status 200
    latency: str  # Histogram.encode of those, from due to answered
    lag_p99_ms: float | None  # from due to sent, the client's own delay; None of too few, or never sent
    valid: bool  # the client was in time

    @property
    def p99_ms(self) -> float | None:
        """None of too few answers."""
        found = Histogram.merged([self.latency]).percentile(0.99)
        return found.ms if found else None

    @classmethod
    def of(cls, outcome: Outcome, rate_per_s: float, seconds: float) -> Offered:
        report = outcome.report(seconds, TIMEOUT_S * 1000)
        return cls(
            rate_per_s=rate_per_s,
            requests=report["requests"],
            answered=report["statuses"].get("200", 0),
            latency=Histogram.of(outcome.latency_ms[outcome.status == OK]).encode(),
            lag_p99_ms=report["lag"]["p99_ms"],
            valid=report["valid"],
        )


def offer(process: Running, num_classes: int, rate_per_s: float, seconds: float) -> Offered:
    """Loads a server with requests that were not sent before. Raises ValueError for a rate of 0."""
    question = process.server.question
    requests = ImageRequests(
        process.port, question.path, question.template, num_classes, random.randrange(2**32)
    )
    due = poisson(rate_per_s, seconds, random.randrange(2**32))
    with prompt():
        outcome = uvloop.run(LoadClient(process.port, requests).open_loop(due, TIMEOUT_S))
    return Offered.of(outcome, rate_per_s, seconds)
