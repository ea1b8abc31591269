"""Processes that load a server together."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

from benchmarks.load.job import Done, Failed, Job
from benchmarks.load.ledger import Ledger
from benchmarks.load.messages import receive, send
from benchmarks.servers import ROOT

SHARED_MEMORY = Path("/dev/shm")  # ledgers are no work for a disk
HEAD_START_S = 0.05  # from when all are ready to when they begin
LOOK_S = 0.5  # between two looks at the ledgers

Look = Callable[[Sequence[Ledger], float], None]  # ledgers, seconds since the beginning


class FleetError(RuntimeError):
    """A process of the load that failed."""


@dataclass(frozen=True)
class Report:
    """What one process did."""

    job: Job
    done: Done
    ledger: Ledger  # times in seconds since all began


class Fleet:
    """As many processes as there are jobs at a time; use `fleet`."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
        self._processes, self._folder = processes, folder

    def __len__(self) -> int:
        return len(self._processes)

    def new_ledger(self, place: int, count: int) -> Path:
        """For one process's next job; the one before is forgotten."""
        file = self._folder / str(place)
        file.unlink(missing_ok=True)
        Ledger.create(file, count)
        return file

    def run(self, jobs: Sequence[Job], look: Look) -> list[Report]:
        """One job for each process, begun together; `look` is called now and then meanwhile.

        Raises FleetError.
        """
        ledgers = [Ledger.open(job.ledger) for job in jobs]
        for process, job in zip(self._processes, jobs, strict=True):
            _tell(process, job)
        for process in self._processes:
            _answer(process)  # ready
        began = perf_counter() + HEAD_START_S
        for process in self._processes:
            _tell(process, began)
        done = self._wait(lambda: look(ledgers, perf_counter() - began))
        for ledger in ledgers:
            ledger.count_from(began)
        return [Report(*report) for report in zip(jobs, done, ledgers, strict=True)]

    def _wait(self, look: Callable[[], None]) -> list[Done]:
        """The answers of all."""
        answers: list[Any] = [None] * len(self)

        def read(place: int) -> None:
            try:
                answers[place] = _answer(self._processes[place])
            except Exception as error:
                answers[place] = error

        threads = [Thread(target=read, args=(place,), daemon=True) for place in range(len(self))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_S)
                look()
        for answer in answers:
            if isinstance(answer, Exception):
                raise FleetError(f"a process of the load is of no more use: {answer}") from answer
        return answers


@contextmanager
def fleet(processes: int) -> Iterator[Fleet]:
    """Starts so many processes and ends them in any case."""
    folder = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="mintage-load-", dir=folder) as ledgers:
        try:
            for _ in range(processes):
                started.append(_start())
            yield Fleet(started, Path(ledgers))
        finally:
            for process in started:
                process.kill()
                process.communicate()  # waits, and closes the pipes


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load.worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the one that started it
    )


def _tell(process: subprocess.Popen[bytes], message: object) -> None:
    assert process.stdin is not None
    try:
        send(process.stdin, message)
    except BrokenPipeError:
        raise FleetError(f"a process of the load ended with {process.wait()}") from None


def _answer(process: subprocess.Popen[bytes]) -> Any:
    """What a process tells next. Raises FleetError where it failed or ended."""
    assert process.stdout is not None
    try:
        answer = receive(process.stdout)
    except EOFError:
        raise FleetError(f"a process of the load ended with {process.wait()}") from None
    if isinstance(answer, Failed):
        raise FleetError(f"a process of the load failed: {answer.reason}")
    return answer
