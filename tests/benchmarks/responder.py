"""A small HTTP server in a thread of its own, which does what a test tells it to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"


class Responder(asyncio.Protocol):
    """Answers every request at once; one of them stops the whole server for a while."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._server.bodies.append(data.partition(b"\r\n\r\n")[2])
        count = len(self._server.bodies)
        if count == self._server.pause_at:
            self._server.paused_at = time.perf_counter()
            time.sleep(self._server.pause_s)
        if count in self._server.hang_up_at:
            self._transport.close()
        else:
            self._transport.write(REFUSAL if count in self._server.refuse_at else ANSWER)


class Server:
    """What a server in a thread of its own is to do, and what it saw."""

    def __init__(
        self,
        pause_at: int = 0,
        pause_s: float = 0,
        hang_up_at: tuple[int, ...] = (),
        refuse_at: tuple[int, ...] = (),
    ) -> None:
        self.pause_at, self.pause_s = pause_at, pause_s
        self.hang_up_at, self.refuse_at = hang_up_at, refuse_at
        self.paused_at = 0.0
        self.bodies: list[bytes] = []

    @contextmanager
    def running(self) -> Iterator[int]:
        """Its port."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(loop.create_server(lambda: Responder(self), "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            loop.run_until_complete(asyncio.sleep(0.05))  # connections see that their clients left
            loop.close()
