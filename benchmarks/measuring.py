"""One visit to one server: start it, warm it up, check its pixels, load it and check again, end it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.answers import WrongAnswer, check, draw
from benchmarks.offered import Offered, offer
from benchmarks.plain_engine import plain
from benchmarks.results import LOGS
from benchmarks.servers import Running, Server, running
from benchmarks.wrk import Measured, measure
from generator import Generator

SETTLE_S = 0.2  # for a server to find that the connections of the load before are closed
WARM_UP_S = 2
WARM_UP_CONNECTIONS = 64
SAMPLE = 32  # answers that are checked each time

Loads = dict[int, Measured]  # connections -> what wrk saw
Offers = Callable[
    [Loads], Mapping[str, float]
]  # after the closed loops: names and rates a second of open ones


@dataclass(frozen=True)
class Visit:
    """What one start of one server showed."""

    ready_s: float
    first_request_ms: float
    checked_images: int
    loads: Loads
    offered: dict[str, Offered]

    def to_json(self) -> dict[str, Any]:
        """With the requests a second written out, for those who only look."""
        loads = {
            str(connections): {**asdict(load), "requests_per_s": load.requests_per_s}
            for connections, load in self.loads.items()
        }
        return {**asdict(self), "loads": loads}


def visit(
    server: Server,
    generator: Generator,
    connections: Sequence[int],
    seconds: int,
    *,
    offers: Offers = lambda loads: {},
    warm_up_s: int = WARM_UP_S,
) -> Visit:
    """Closed loops of so many connections, then open ones, each for so long.

    Raises ServerError, WrkError, and WrongAnswer, also for a load that got no right answer at all.
    """
    if server.is_plain:
        generator = plain(generator.artifact)

    def checked_after_load() -> int:
        return check(process.port, server.question, generator, _sample(server, generator))

    with running(server, LOGS / f"{server.name.replace(' ', '-')}.log") as process:
        checked = warm_up(process, generator, warm_up_s)
        loads: Loads = {}
        for count in connections:
            loads[count] = load(process, generator, count, seconds)
            if not loads[count].requests_per_s:
                raise WrongAnswer(f"{server.name}: no right answer at {count} connections")
            checked += checked_after_load()
        offered: dict[str, Offered] = {}
        for name, rate_per_s in offers(loads).items():
            offered[name] = offer(process, generator.spec.num_classes, rate_per_s, seconds)
            checked += checked_after_load()
        return Visit(process.ready_s, process.first_request_ms, checked, loads, offered)


def load(process: Running, generator: Generator, connections: int, seconds: int) -> Measured:
    """wrk, with seeds that were not asked for before. Raises WrkError."""
    time.sleep(SETTLE_S)
    return measure(
        process.port,
        process.server.question,
        num_classes=generator.spec.num_classes,
        connections=connections,
        seconds=seconds,
        first_seed=random.randrange(2**32),
    )


def warm_up(process: Running, generator: Generator, seconds: int = WARM_UP_S) -> int:
    """Loads a server and checks its answers meanwhile, in batches as full as they get; images checked.

    Raises WrkError, WrongAnswer.
    """
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load, process, generator, WARM_UP_CONNECTIONS, seconds)
        sample = _sample(process.server, generator)
        checked = check(process.port, process.server.question, generator, sample)
        loading.result()
    return checked


def _sample(server: Server, generator: Generator) -> list[tuple[int, int]]:
    count = max(1, SAMPLE // server.question.images)
    return draw(count, generator.spec.num_classes, random.randrange(2**32))
