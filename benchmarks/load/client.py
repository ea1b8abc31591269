"""The load client: open loop (requests are sent when they are due) and closed loop (when one is answered).

In an open loop a slow answer does not delay the next request: with no free connection another is opened,
and where there may be no more, the request waits, with its clock running since it was due.
"""

from __future__ import annotations

import asyncio
import errno
import math
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter

import numpy as np

from benchmarks.load.alarm import Alarm
from benchmarks.load.connection import Connection
from benchmarks.load.ledger import BROKEN, Ledger, Times
from benchmarks.load.outcome import Outcome

FIRST_CONNECTIONS, MOST_FIRST = 64, 4096  # opened before the clock starts: opening one takes long,
SETTLE_S = 0.0005  # that a server is given for each of them: open to the client is not yet taken by it
AHEAD_S = 0.5  # so there are as many as requests come in this time
TOGETHER = 128  # opened at a time: a server's backlog is no larger everywhere
SCATTER = 2_654_435_769  # 2^32 over the golden ratio: its multiples are spread evenly modulo 2^32
OWN_FAULTS = {errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS}  # no port or file was left
SPARE_FILES = 64  # file descriptors that this process needs for other things


def is_kept(number: int, one_of: int) -> bool:
    """Is this one of the answers to keep? In no step with what goes round in the requests; 0 is none."""
    return one_of > 0 and (number * SCATTER % 2**32) * one_of < 2**32


class LoadClient:
    """Connections to one server; for one run."""

    def __init__(
        self,
        port: int,
        request: Callable[[int], bytes],
        max_connections: int = 8192,
        *,
        host: str = "127.0.0.1",
        ledger: Ledger | None = None,
        keep_every: int = 0,
        together_s: float = 0.0,
    ) -> None:
        """`request` gives the bytes of each number; one of `keep_every` answers is kept whole, 0 is none.

        In an open loop, requests that are due within `together_s` of each other may be sent at once, which
        costs less of a processor that the server needs; they are up to that late, and their clocks run.
        A `ledger` that another process sees has a place for each request; None is one of its own.
        """
        self._host, self._port, self._request = host, port, request
        self._max_connections = min(max_connections, _allow_files(max_connections) - SPARE_FILES)
        self._given, self._keep_every, self._together_s = ledger, keep_every, together_s
        self._connections: set[Connection] = set()
        self._opening = 0
        self._most_connections = 0
        self._free: list[Connection] = []
        self._waiting: deque[int] = deque()  # numbers of requests that are due and not sent
        self._next: Iterator[int] = iter(())  # what a closed loop asks next
        self._closed_loop = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: list[tuple[int, bytes]] = []
        self._left = 0  # requests without an answer
        self._finished = asyncio.Event()

    async def open_loop(
        self, due: Times, drain_s: float, start: Callable[[], float] = perf_counter
    ) -> Outcome:
        """Sends request i at due[i] seconds; answers are awaited for `drain_s` after the last.

        `start` is called when connections are open, and tells the perf_counter time from which to count.
        """
        coming = int(np.searchsorted(due, AHEAD_S))
        first = min(max(coming, FIRST_CONNECTIONS), MOST_FIRST, self._max_connections)
        await self._open(first)
        await asyncio.sleep(first * SETTLE_S)
        self._begin(len(due))
        began, cpu_began = start(), time.process_time()
        self._ledger.due[:] = due + began
        self._times = [*self._ledger.due.tolist(), math.inf]
        self._at = 0  # the number of the request that is due next
        self._alarm = Alarm(self._send_due)
        self._send_due()
        await self._finish((float(due[-1]) if len(due) else 0.0) + began - perf_counter() + drain_s)
        self._alarm.close()
        return self._outcome(len(due), began, time.process_time() - cpu_began)

    async def closed_loop(
        self,
        count: int,
        connections: int,
        drain_s: float,
        seconds: float = math.inf,
        start: Callable[[], float] = perf_counter,
    ) -> Outcome:
        """`count` requests or as many as fit into so many seconds, each as soon as its connection is free.

        A request is due when it is sent: this finds peak throughput, not latency under load.
        """
        await self._open(min(connections, count))
        self._begin(count)
        self._closed_loop = True
        began, cpu_began = start(), time.process_time()
        self._next = self._until(count, began + seconds)
        free, self._free = self._free, []
        for connection in free:
            self._go_on(connection)
        await self._finish(drain_s + (seconds if math.isfinite(seconds) else 0.0))
        self._ledger.due[:] = self._ledger.sent
        return self._outcome(self._asked, began, time.process_time() - cpu_began)

    def _begin(self, count: int) -> None:
        self._ledger = self._given or Ledger.new(count)
        self._sent, self._done, self._status = self._ledger.sent, self._ledger.done, self._ledger.status
        self._left = self._asked = count
        if not count:
            self._finished.set()

    def _until(self, count: int, deadline: float) -> Iterator[int]:
        """The numbers of a closed loop, until it is time."""
        for self._asked in range(1, count + 1):
            yield self._asked - 1
            if perf_counter() > deadline:
                break
        self._left -= count - self._asked
        if not self._left:
            self._finished.set()

    def _send_due(self) -> None:
        """Sends what is due by now, and sets the alarm for the next."""
        times, now = self._times, perf_counter()
        while times[self._at] <= now:
            self._send(self._at)
            self._at += 1
        if (when := times[self._at]) < math.inf:
            self._alarm.set(max(when, now + self._together_s))

    def _send(self, number: int) -> None:
        while self._free:
            if (connection := self._free.pop()).free:
                return self._send_on(connection, number)
        self._waiting.append(number)
        return self._connect_one_more()

    def _send_on(self, connection: Connection, number: int) -> None:
        self._sent[number] = perf_counter()
        connection.send(number, self._request(number), is_kept(number, self._keep_every))

    async def _open(self, count: int) -> None:
        for start in range(0, count, TOGETHER):
            together = min(TOGETHER, count - start)
            self._opening += together
            await asyncio.gather(*(self._connect() for _ in range(together)))

    def _connect_one_more(self) -> None:
        if len(self._connections) + self._opening < self._max_connections:
            self._opening += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._on_answer, self._on_lost), self._host, self._port
            )
        except OSError as error:
            if (number := self._due()) is not None:
                if error.errno not in OWN_FAULTS:  # nobody took it, but it was there in time
                    self._sent[number] = perf_counter()
                self._record(number, BROKEN)
        else:
            self._connections.add(connection)
            self._most_connections = max(self._most_connections, len(self._connections))
            self._go_on(connection)
        finally:
            self._opening -= 1

    def _due(self) -> int | None:
        """The number of the request to send next, if one is due."""
        return self._waiting.popleft() if self._waiting else next(self._next, None)

    def _go_on(self, connection: Connection) -> None:
        """Gives a free connection its next request, if there is one."""
        if not connection.free:
            return
        if (number := self._due()) is None:
            self._free.append(connection)
        else:
            self._send_on(connection, number)

    def _on_answer(self, connection: Connection, number: int, status: int) -> None:
        self._record(number, status)
        if (answer := connection.take()) is not None and status != BROKEN:
            self._kept.append((number, answer))
        self._go_on(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._waiting or (self._closed_loop and self._left):
            self._connect_one_more()

    def _record(self, number: int, status: int) -> None:
        self._done[number] = perf_counter()
        self._status[number] = status
        self._left -= 1
        if not self._left:
            self._finished.set()

    async def _finish(self, timeout_s: float) -> None:
        """What is not answered in time stays BROKEN, with no time of an answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._finished.wait()
        self._waiting.clear()
        self._next = iter(())
        self._left = 0
        for connection in tuple(self._connections):
            connection.close()

    def _outcome(self, count: int, began: float, cpu_s: float) -> Outcome:
        ledger = self._ledger
        return Outcome(
            due=ledger.due[:count] - began,
            sent=ledger.sent[:count] - began,
            done=ledger.done[:count] - began,
            status=ledger.status[:count].copy(),
            connections=self._most_connections,
            cpu_s=cpu_s,
            kept=tuple(self._kept),
        )


def _allow_files(wanted: int) -> int:
    """Raises this process's limit of open files as far as it may; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(soft, min(hard, wanted + SPARE_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
