"""Connections shared out evenly among the workers, which all listen to one socket.

uvloop's own listening takes every connection that waits, so that of a burst one worker may get nearly all,
and the other computes batches of one or two. Here a worker with more connections than another
leaves new ones to that for a moment, and takes them only if it does not.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import cast

import uvicorn

from service.board import Board
from service.connection import BoundedConnection

AT_ONCE = 64  # connections taken in one turn of the event loop, at most
YIELD_S = 0.005  # that a worker with more connections leaves to one with fewer
MORE_OF = 1.125  # so many times as many are not more: a burst of many is taken faster
PAUSE_S = 0.5  # without accepting, when nothing more can be opened
FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

logger = logging.getLogger("mintage")


class Listener:
    """Accepts the connections of one socket, in the place of asyncio's Server."""

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        has_most: Callable[[int], bool],
        tell_taken: Callable[[int], None],
    ) -> None:
        """`has_most` is asked before a connection is taken, `tell_taken` is told after it.

        Both get how many are taken and not made yet.
        """
        self._socket, self._make_protocol = listening, make_protocol
        self._has_most, self._tell_taken = has_most, tell_taken
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._listen()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._pause is not None:
            self._pause.cancel()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _listen(self) -> None:
        self._loop.add_reader(self._socket, self._look)

    def _look(self) -> None:
        """Called while connections wait."""
        for _ in range(AT_ONCE):
            if self._has_most(len(self._tasks)):
                self._rest(YIELD_S, self._take_and_listen)
                return
            if not self._take():
                return

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(seconds, then)

    def _take_and_listen(self) -> None:
        """Takes one if it is still there: who has fewer is busy."""
        self._listen()
        self._take()

    def _take(self) -> bool:
        """Whether there was one."""
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            if error.errno in FULL:
                logger.error("no connection can be accepted for %s s: %s", PAUSE_S, error)
                self._rest(PAUSE_S, self._listen)
            return False  # another worker was faster, or the client is gone
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._make_protocol, connection), name="accept"
        )
        self._tasks.add(task)
        self._tell_taken(len(self._tasks))
        task.add_done_callback(lambda task: self._made(task, connection))
        return True

    def _made(self, task: asyncio.Task[object], connection: socket.socket) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            connection.close()
        elif (error := task.exception()) is not None:
            logger.error("a connection failed at once: %s", error)
            connection.close()


class EvenServer(uvicorn.Server):
    """uvicorn's server, but for how it accepts connections without TLS."""

    board: Callable[[], Board]  # that the workers share; once they are started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not sockets or self.config.is_ssl:
            await super().startup(sockets)
            return
        await super().startup(sockets=[])  # everything but listening
        self.servers = [
            cast(asyncio.Server, Listener(listening, self._protocol, self._has_most, self._tell_taken))
            for listening in sockets
        ]

    def _has_most(self, begun: int) -> bool:
        return self._count(begun) > EvenServer.board().fewest_connections() * MORE_OF

    def _tell_taken(self, begun: int) -> None:
        EvenServer.board().tell_connections(self._count(begun))

    def _count(self, begun: int) -> int:
        return len(self.server_state.connections) + begun

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def use_even_server(board: Callable[[], Board]) -> None:
    """Makes BentoML's workers, which take what uvicorn has, listen in this way."""
    EvenServer.board = staticmethod(board)
    BoundedConnection.tell_left = staticmethod(lambda count: board().tell_connections(count))
    uvicorn.Server = EvenServer  # type: ignore[misc]
