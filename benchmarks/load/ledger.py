"""When each request of a run was due, sent and answered, and how: arrays that two processes may share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

BROKEN = 0  # in place of a status: the connection ended before the answer did

Times = npt.NDArray[np.float64]
Statuses = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Ledger:
    """One place for each request; times in seconds of time.perf_counter, NaN for what has not happened."""

    due: Times
    sent: Times
    done: Times
    status: Statuses  # of HTTP; BROKEN until answered

    @classmethod
    def new(cls, count: int) -> Ledger:
        """Of `count` requests, in this process's memory."""
        return cls._of(np.empty((3, count)), np.empty(count, np.int16)).cleared()

    @classmethod
    def create(cls, file: Path, count: int) -> Ledger:
        """In a file, which `open` gives to another process."""
        file.touch()
        with file.open("r+b") as opened:
            opened.truncate(_bytes(count))
        return cls.open(file).cleared()

    @classmethod
    def open(cls, file: Path) -> Ledger:
        """What `create` made: what one process writes, the other reads."""
        count = file.stat().st_size // _bytes(1)
        times = np.memmap(file, np.float64, "r+", shape=(3, count))
        statuses = np.memmap(file, np.int16, "r+", offset=times.nbytes, shape=(count,))
        return cls._of(np.asarray(times), np.asarray(statuses))

    def cleared(self) -> Ledger:
        """The same, with nothing in it; this also brings its pages into memory."""
        for times in (self.due, self.sent, self.done):
            times.fill(np.nan)
        self.status.fill(BROKEN)
        return self

    def count_from(self, began: float) -> None:
        """Makes every time the seconds since then."""
        for times in (self.due, self.sent, self.done):
            np.subtract(times, began, out=times)

    @classmethod
    def _of(cls, times: Times, statuses: Statuses) -> Ledger:
        return cls(times[0], times[1], times[2], statuses)


def _bytes(count: int) -> int:
    return count * (3 * 8 + 2)
