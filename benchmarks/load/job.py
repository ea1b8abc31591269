"""What one process of a load is told to do, and what it tells when it is done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.load.client import LoadClient
from benchmarks.load.histogram import Histogram
from benchmarks.load.ledger import Ledger, Times
from benchmarks.load.mix import Mix
from benchmarks.load.outcome import OK, Outcome
from benchmarks.load.priority import prompt

DRAIN_S = 10.0  # for answers after the last request: the service's own time limit
KEPT_BYTES = 32 * 2**20  # of bodies; of further answers only the head is kept


@dataclass(frozen=True)
class Job:
    """One load of one process."""

    mix: Mix
    ledger: Path  # of Ledger.create, with a place for each request
    due: Times | None  # seconds from the start; None is a closed loop
    seconds: float  # of a closed loop
    connections: int  # at most; of a closed loop, exactly
    keep_every: int  # one of so many answers is kept, by their requests' numbers
    together_s: float = 0.0  # of an open loop: requests that are due so close may be sent at once

    def run(self, start: Callable[[], float]) -> Done:
        """Loads the target; `start` is called when connections are open, and tells when to begin."""
        # A closed loop shows what the server can do: it takes turns with it.
        with prompt() if self.due is not None else nullcontext("ordinary") as priority:
            outcome = uvloop.run(self._load(start))
        return Done(
            len(outcome.due),
            outcome.connections,
            outcome.cpu_s,
            priority,
            _bounded(outcome.kept),
            Histogram.of(outcome.latency_ms[outcome.status == OK]).encode(),
            Histogram.of(outcome.lag_ms).encode(),
        )

    async def _load(self, start: Callable[[], float]) -> Outcome:
        client = LoadClient(
            self.mix.target.port,
            self.mix,
            self.connections,
            host=self.mix.target.host,
            ledger=(ledger := Ledger.open(self.ledger)),
            keep_every=self.keep_every,
            together_s=self.together_s,
        )
        if self.due is not None:
            return await client.open_loop(self.due, DRAIN_S, start)
        return await client.closed_loop(len(ledger.due), self.connections, DRAIN_S, self.seconds, start)


@dataclass(frozen=True)
class Kept:
    """An answer that was kept."""

    number: int  # of its request
    raw: bytes
    is_whole: bool  # else the head alone


@dataclass(frozen=True)
class Failed:
    """In place of Done: why there is none."""

    reason: str


@dataclass(frozen=True)
class Done:
    """What came of a job, besides its ledger."""

    requests: int  # of the ledger's places, how many were used
    connections: int  # at once, at most
    cpu_s: float
    priority: str  # of the process
    kept: list[Kept]
    latency: str  # Histogram.encode, of answers with status 200
    lag: str  # the same, of all requests


def _bounded(kept: tuple[tuple[int, bytes], ...]) -> list[Kept]:
    left, bounded = KEPT_BYTES, []
    for number, answer in kept:
        left -= len(answer)
        bounded.append(Kept(number, answer, True) if left > 0 else Kept(number, _head(answer), False))
    return bounded


def _head(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
