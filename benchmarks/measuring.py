"""One visit to one server: start it, warm it up, check its pixels, load it, check again, end it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.answers import check, draw
from benchmarks.plain_engine import plain
from benchmarks.results import LOGS
from benchmarks.servers import Running, Server, running
from benchmarks.wrk import Measured, measure
from generator import Generator

WARM_UP_S = 2
WARM_UP_CONNECTIONS = 64
SAMPLE = 32  # answers that are checked each time


@dataclass(frozen=True)
class Visit:
    """What one start of one server showed."""

    ready_s: float
    first_request_ms: float
    checked_images: int
    loads: dict[int, Measured]  # connections -> what wrk saw

    def to_json(self) -> dict[str, Any]:
        """With the requests a second written out, for those who only look."""
        loads = {
            str(connections): {**asdict(load), "requests_per_s": load.requests_per_s}
            for connections, load in self.loads.items()
        }
        return {**asdict(self), "loads": loads}


def visit(server: Server, generator: Generator, connections: Sequence[int], seconds: int) -> Visit:
    """Raises ServerError, WrkError, WrongAnswer."""
    if server.is_plain:
        generator = plain(generator.artifact)
    with running(server, LOGS / f"{server.name.replace(' ', '-')}.log") as process:
        checked = warm_up(process, generator)
        loads: dict[int, Measured] = {}
        for count in connections:
            loads[count] = load(process, generator, count, seconds)
            checked += check(process.port, server.question, generator, _sample(server, generator))
        return Visit(process.ready_s, process.first_request_ms, checked, loads)


def load(process: Running, generator: Generator, connections: int, seconds: int) -> Measured:
    """wrk, with seeds that were not asked for before. Raises WrkError."""
    return measure(
        process.port,
        process.server.question,
        num_classes=generator.spec.num_classes,
        connections=connections,
        seconds=seconds,
        first_seed=random.randrange(2**32),
    )


def warm_up(process: Running, generator: Generator) -> int:
    """Loads a server and checks its answers meanwhile, in batches as full as they get; images checked.

    Raises WrkError, WrongAnswer.
    """
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load, process, generator, WARM_UP_CONNECTIONS, WARM_UP_S)
        sample = _sample(process.server, generator)
        checked = check(process.port, process.server.question, generator, sample)
        loading.result()
    return checked


def _sample(server: Server, generator: Generator) -> list[tuple[int, int]]:
    count = max(1, SAMPLE // server.question.images)
    return draw(count, generator.spec.num_classes, random.randrange(2**32))
