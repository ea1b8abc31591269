"""What the workers of one server tell each other: a table in shared memory, one row for each worker.

A worker writes only its own row and reads all of them, so there is nothing to lock. Row and columns
survive the worker: the one that replaces it goes on counting where it ended.
"""

from __future__ import annotations

import atexit
import json
import math
import mmap
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

VARIABLE = "_MINTAGE_BOARD"  # the environment variable by which workers find the table
PID, READY, VERSION, BEAT, CONNECTIONS = range(5)  # columns; the numbers of metrics follow
STATUS_COLUMNS = 8
HUNG_S = 3.0  # a worker whose event loop has not turned for so long does not answer
FAILED = -1.0  # in READY: the worker could not start
DOUBLE = 8  # bytes


@dataclass(frozen=True)
class WorkerStatus:
    """What is known of one worker."""

    pid: int  # 0: never started
    ready: bool
    failed: bool  # could not start
    version: int  # of everything it serves; equal numbers, equal models


class Board:
    """The table, as one worker sees it."""

    def __init__(self, memory: mmap.mmap, models: Sequence[str], workers: int, worker: int) -> None:
        """`models` are the names of all served models, in the order of their columns; `worker` from 0."""
        self.models, self._worker = tuple(models), worker
        self.all: npt.NDArray[np.float64] = np.frombuffer(memory, np.float64).reshape(workers, -1)
        self.row: memoryview[float] = memoryview(memory).cast("d")[
            worker * self.all.shape[1] : (worker + 1) * self.all.shape[1]
        ]
        self.counts: memoryview[float] = self.row[STATUS_COLUMNS:]  # this worker's metrics

    @classmethod
    def alone(cls, models: Sequence[str], columns: int) -> Board:
        """For a process without others: a table nobody else sees."""
        board = cls(mmap.mmap(-1, (STATUS_COLUMNS + columns) * DOUBLE), models, 1, 0)
        board.row[BEAT] = math.inf  # nobody is there to see it hang
        return board

    @classmethod
    def create(cls, models: Sequence[str], workers: int, columns: int) -> Board:
        """Makes the table for processes started from now on, as long as this one lives."""
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        handle, path = tempfile.mkstemp(prefix="mintage-", dir=folder)
        os.truncate(handle, workers * (STATUS_COLUMNS + columns) * DOUBLE)
        os.close(handle)
        os.environ[VARIABLE] = json.dumps({"path": path, "models": list(models), "workers": workers})
        atexit.register(Path(path).unlink, missing_ok=True)
        return cls._open(0)

    @staticmethod
    def remove() -> None:
        """Removes the table of this server; processes that have it open keep it."""
        Path(json.loads(os.environ[VARIABLE])["path"]).unlink(missing_ok=True)

    @classmethod
    def join(cls, worker: int) -> Board | None:
        """The table that the server's first process made; None where it made none with a row for `worker`."""
        if VARIABLE not in os.environ or worker >= json.loads(os.environ[VARIABLE])["workers"]:
            return None
        return cls._open(worker)

    @classmethod
    def _open(cls, worker: int) -> Board:
        told = json.loads(os.environ[VARIABLE])
        with Path(told["path"]).open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), 0), told["models"], told["workers"], worker)

    def tell_ready(self, version: int = 0) -> None:
        """That this worker answers, with what; `version` below 2^53."""
        self.row[READY], self.row[VERSION], self.row[PID] = 1.0, float(version), float(os.getpid())

    def beat(self) -> None:
        """Tells that this worker's event loop turns; to be called every second."""
        self.row[BEAT] = time.monotonic()

    def tell_connections(self, count: int) -> None:
        self.row[CONNECTIONS] = count

    def fewest_connections(self) -> float:
        """Of any other worker that answers; infinity where there is none."""
        latest = time.monotonic() - HUNG_S
        rows = self.all[:, :STATUS_COLUMNS].tolist()
        others = [row for worker, row in enumerate(rows) if worker != self._worker]
        return min(
            (row[CONNECTIONS] for row in others if row[READY] == 1 and row[BEAT] > latest), default=math.inf
        )

    def tell_lost(self) -> None:
        """That this worker answers no more."""
        self.row[READY] = 0.0

    def tell_failed(self) -> None:
        self.row[PID], self.row[READY] = float(os.getpid()), FAILED

    def statuses(self) -> list[WorkerStatus]:
        """All workers; one that is gone or hangs is not ready, whatever it told before."""
        found = []
        for row in self.all[:, :STATUS_COLUMNS].tolist():
            pid = int(row[PID])
            ready = row[READY] == 1 and time.monotonic() - row[BEAT] < HUNG_S and _is_alive(pid)
            found.append(WorkerStatus(pid, ready, row[READY] == FAILED, int(row[VERSION])))
        return found

    def numbers(self) -> npt.NDArray[np.float64]:
        """The metrics' columns, summed over the workers."""
        total: npt.NDArray[np.float64] = self.all[:, STATUS_COLUMNS:].sum(axis=0)
        return total


def _is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains, which wait to be looked at."""
    try:
        return pid > 0 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
