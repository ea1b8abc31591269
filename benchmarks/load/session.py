"""One service under load after load: no request twice, every load checked."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from rich.console import Console

from benchmarks.load.fleet import Fleet, Report, fleet
from benchmarks.load.job import Job
from benchmarks.load.ledger import Times
from benchmarks.load.measured import Measured
from benchmarks.load.mix import Mix, parse
from benchmarks.load.outcome import NOTHING_DUE, OK
from benchmarks.load.pixels import check
from benchmarks.load.progress import Progress
from benchmarks.load.schedule import even, poisson
from benchmarks.load.target import Target, TargetError
from benchmarks.servers import Running
from generator import Generator

Arrivals = Literal["poisson", "constant"]

KEEP_EVERY = 16  # requests of which about one answer is kept, for its times and pixels
CHECKED = 256  # answers of a load that are compared, at most
OPEN_CONNECTIONS = 8192  # of an open loop, at most
CLOSED_AT_MOST_PER_S = 60_000  # requests of a process in a closed loop


class NothingAnswered(RuntimeError):
    """A load without a single right answer."""


@dataclass
class Session:
    """What takes loads in turn; `sent` requests have been sent."""

    fleet: Fleet
    mix: Mix
    generator: Generator | None  # makes the images that answers are compared with
    arrivals: Arrivals
    random_seed: int  # of the arrivals; each load has others, that come again with this seed
    progress: Progress
    sent: int = 0
    _loads: int = 0  # so far

    def first_requests(self) -> float:
        """One request of each kind over a new connection; the ms of the very first.

        Raises TargetError where a route is missing or refuses.
        """
        took_ms = []
        for asked in self.mix.one_of_each():
            body, path = asked.kind.body(asked.label, asked.seed), asked.kind.path
            began = time.perf_counter()
            reply = self.mix.target.ask("POST", path, body, asked.kind.accept or "*/*")
            took_ms.append((time.perf_counter() - began) * 1000)
            where = f"POST {path} of http://{self.mix.target.address}"
            if reply.status in (404, 405):
                raise TargetError(f"{where} is no route of this service: take it out of --mix")
            if reply.status != OK:
                raise TargetError(
                    f"{where} answered {reply.status}: {reply.body[:200].decode(errors='replace')}"
                )
        self.sent += len(took_ms)
        return took_ms[0]

    def open(
        self, rate_per_s: float, seconds: float, name: str | None = None, *, together_s: float = 0.0
    ) -> Measured:
        """An open loop; requests that are due within `together_s` of each other may be sent at once.

        Raises FleetError, NothingAnswered, WrongAnswer.
        """
        dues = [self._due(place, rate_per_s, seconds) for place in range(len(self.fleet))]
        if not any(map(len, dues)):
            raise NothingAnswered(NOTHING_DUE)
        jobs = [
            replace(self._job(place, len(due), due, seconds, OPEN_CONNECTIONS), together_s=together_s)
            for place, due in enumerate(dues)
        ]
        return self._run(name or f"{rate_per_s:,.0f}/s", jobs, rate_per_s, seconds)

    def closed(
        self, connections: int, seconds: float, name: str | None = None, *, count: int | None = None
    ) -> Measured:
        """A closed loop, its connections shared out between the processes. Raises as `open`.

        With `count` each process ends after so many requests, if not before.
        """
        shares = [len(part) for part in np.array_split(range(connections), len(self.fleet))]
        count = count or round(CLOSED_AT_MOST_PER_S * seconds)
        jobs = [self._job(place, count, None, seconds, share) for place, share in enumerate(shares)]
        return self._run(name or f"{connections} connections", jobs, None, seconds)

    def _due(self, place: int, rate_per_s: float, seconds: float) -> Times:
        """A process's part of the arrivals: of Poisson streams, and of even ones, the sum is one again."""
        rate = rate_per_s / len(self.fleet)
        if self.arrivals == "constant":
            return even(rate, seconds) + place / rate_per_s
        return poisson(rate, seconds, self.random_seed + self._loads * len(self.fleet) + place)

    def _job(self, place: int, count: int, due: Times | None, seconds: float, connections: int) -> Job:
        part = self.mix.part(place, len(self.fleet), self.sent)
        ledger = self.fleet.new_ledger(place, count)
        return Job(part, ledger, due, seconds, connections, KEEP_EVERY)

    def _run(self, name: str, jobs: list[Job], rate_per_s: float | None, seconds: float) -> Measured:
        self._loads += 1
        self.progress.begin(name)
        reports = self.fleet.run(jobs, self.progress.look)
        self.sent += len(jobs) * max(report.done.requests for report in reports)
        measured = Measured.of(rate_per_s, seconds, reports, self._check(reports))
        if not measured.count(OK):
            raise NothingAnswered(f"{name}: none of {measured.requests:,} requests got a right answer")
        return measured

    def _check(self, reports: Sequence[Report]) -> int:
        if self.generator is None:
            return 0
        limit = max(1, CHECKED // len(reports))
        return sum(check(one.done.kept, one.job.mix, self.generator, limit) for one in reports)


@contextmanager
def session_on(
    process: Running,
    generator: Generator,
    mix: str = "label",
    random_seed: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Session]:
    """Poisson loads of one process on a server of this machine; quiet without `progress`.

    Raises TargetError, MixError.
    """
    seed = random.randrange(2**32) if random_seed is None else random_seed
    with fleet(1) as processes:
        target = Target("127.0.0.1", process.port)
        asked = Mix(target, target.model(None), parse(mix), seed)
        yield Session(
            processes,
            asked,
            generator,
            "poisson",
            seed,
            progress or Progress(Console(quiet=True, force_terminal=False)),
        )
