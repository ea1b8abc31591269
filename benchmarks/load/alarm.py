"""A timer of the event loop that rings within some ten microseconds.

The timers of asyncio and uvloop round to whole milliseconds, which is what a small image takes: requests of
an open loop would be sent up to one late, and their latencies would count it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

CLOCK_MONOTONIC = 1  # what time.perf_counter reads on Linux
TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1
EARLIEST_S = 1e-9  # a time of 0 would switch the timer off


class _Itimerspec(ctypes.Structure):
    """`struct itimerspec` of timerfd_settime(2)."""

    _fields_ = [("interval_s", ctypes.c_long), ("interval_ns", ctypes.c_long),
                ("s", ctypes.c_long), ("ns", ctypes.c_long)]  # fmt: skip


class Alarm:
    """Calls `ring` once for each `set`, from the running event loop; for one thread."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop, self._ring = asyncio.get_running_loop(), ring
        self._handle: asyncio.TimerHandle | None = None
        self._file = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._file = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
            self._time = _Itimerspec()
        if self._file >= 0:
            self._loop.add_reader(self._file, self._rung)

    def set(self, when_s: float) -> None:
        """To ring at a time of time.perf_counter; at once where that is past."""
        if self._file < 0:
            self._handle = self._loop.call_later(max(0.0, when_s - time.perf_counter()), self._ring)
        else:
            self._program(max(EARLIEST_S, when_s))

    def close(self) -> None:
        """It rings no more."""
        if self._handle is not None:
            self._handle.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _rung(self) -> None:
        self._program(0)  # also makes the file unreadable again
        self._ring()

    def _program(self, when_s: float) -> None:
        self._time.s = int(when_s)
        self._time.ns = int((when_s - self._time.s) * 1e9)
        self._libc.timerfd_settime(self._file, TFD_TIMER_ABSTIME, ctypes.byref(self._time), None)
