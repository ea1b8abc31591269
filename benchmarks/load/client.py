"""The load client: open loop (requests are sent when they are due) and closed loop (when one is answered).

In an open loop a slow answer does not delay the next request: with no free connection another is opened,
and where there may be no more, the request waits, with its clock running since it was due.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

from benchmarks.load.connection import BROKEN, Connection
from benchmarks.load.outcome import Outcome
from benchmarks.load.schedule import Times

FIRST_CONNECTIONS = 64  # opened before the clock starts
SPARE_FILES = 64  # file descriptors that this process needs for other things


class LoadClient:
    """Connections to one server on this machine; for one run."""

    def __init__(self, port: int, request: Callable[[int], bytes], max_connections: int = 8192) -> None:
        self._port, self._request = port, request
        self._max_connections = min(max_connections, _allow_files(max_connections) - SPARE_FILES)
        self._connections: set[Connection] = set()
        self._opening = 0
        self._most_connections = 0
        self._free: list[Connection] = []
        self._waiting: deque[int] = deque()  # numbers of requests that are due and not sent
        self._next: Iterator[int] = iter(())  # what a closed loop asks next
        self._closed_loop = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = 0  # requests without an answer
        self._finished = asyncio.Event()

    async def open_loop(self, due: Times, drain_s: float) -> Outcome:
        """Sends request i at due[i] seconds; answers are awaited for `drain_s` after the last."""
        self._begin(len(due))
        await self._open(min(FIRST_CONNECTIONS, self._max_connections))
        began, cpu_began = time.perf_counter(), time.process_time()
        times = (due + began).tolist()
        number = 0
        while number < len(times):
            now = time.perf_counter()
            while number < len(times) and times[number] <= now:
                self._send(number)
                number += 1
            if number < len(times):
                await asyncio.sleep(max(0.0, times[number] - time.perf_counter()))
        await self._finish(drain_s)
        return self._outcome(due, began, time.process_time() - cpu_began)

    async def closed_loop(self, count: int, connections: int, drain_s: float) -> Outcome:
        """`count` requests, the next one on each connection as soon as it has its answer.

        A request is due when it is sent: this finds peak throughput, not latency under load.
        """
        self._begin(count)
        await self._open(min(connections, count))
        self._next, self._closed_loop = iter(range(count)), True
        began, cpu_began = time.perf_counter(), time.process_time()
        free, self._free = self._free, []
        for connection in free:
            self._go_on(connection)
        await self._finish(drain_s)
        return self._outcome(self._sent - began, began, time.process_time() - cpu_began)

    def _begin(self, count: int) -> None:
        self._sent = np.full(count, np.nan)  # seconds of time.perf_counter, as is `done`
        self._done = np.full(count, np.nan)
        self._status = np.full(count, BROKEN, np.int16)
        self._left = count

    def _send(self, number: int) -> None:
        while self._free:
            if (connection := self._free.pop()).free:
                return self._send_on(connection, number)
        self._waiting.append(number)
        return self._connect_one_more()

    def _send_on(self, connection: Connection, number: int) -> None:
        self._sent[number] = time.perf_counter()
        connection.send(number, self._request(number))

    async def _open(self, count: int) -> None:
        self._opening += count
        await asyncio.gather(*(self._connect() for _ in range(count)))

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
                lambda: Connection(self._on_answer, self._on_lost), "127.0.0.1", self._port
            )
        except OSError:
            if (number := self._due()) is not None:
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
        self._go_on(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._waiting or (self._closed_loop and self._left):
            self._connect_one_more()

    def _record(self, number: int, status: int) -> None:
        self._done[number] = time.perf_counter()
        self._status[number] = status
        self._left -= 1
        if not self._left:
            self._finished.set()

    async def _finish(self, drain_s: float) -> None:
        """What is not answered in time stays BROKEN, with no time of an answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._finished.wait()
        self._waiting.clear()
        self._next = iter(())
        self._left = 0
        for connection in tuple(self._connections):
            connection.close()

    def _outcome(self, due: Times, began: float, cpu_s: float) -> Outcome:
        return Outcome(
            due=due,
            sent=self._sent - began,
            done=self._done - began,
            status=self._status,
            connections=self._most_connections,
            cpu_s=cpu_s,
        )


def _allow_files(wanted: int) -> int:
    """Raises this process's limit of open files as far as it may; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(soft, min(hard, wanted + SPARE_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
