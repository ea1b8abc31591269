"""The service's hot path in one process, without sockets and without an engine.

Connections, the short and the general way, the queue, the event loop, metrics and the PNG encoder are the
service's own. Transports only count replies, and the engine hands out the same images again and again, so
that what is left is what the service adds to an engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import uvicorn
import uvloop
from uvicorn.server import ServerState

from generator.artifact import Artifact
from generator.engines import Chosen
from generator.pixels import Pixels
from service.app import App
from service.connection import BoundedConnection
from service.direct import Direct
from service.http import Receive, Scope, Send
from service.keys import Keys
from service.models import Models, ServedModel
from service.routes import ROUTES
from service.settings import Settings

OK = b"HTTP/1.1 200 "
FOREVER_MS = 600_000  # no request may be late or leave the event loop because counting is slow


class WrongReply(RuntimeError):
    """A reply that is no image: what it cost means nothing."""


class NullEngine:
    """Images that were there before."""

    key = "null"
    choice = "costs nothing, so that everything else is counted"
    best_batch = 16
    calls_at_once = 1

    def __init__(self, artifact: Artifact) -> None:
        size, channels = artifact.spec.image_size, artifact.spec.channels
        values = np.arange(self.best_batch * size * size * channels) % 251
        self._images = values.astype(np.uint8).reshape(self.best_batch, size, size, channels)

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        return self._images[: len(latent)]


class NullModels(Models):
    """The service's models, each with an engine that costs nothing."""

    def load(self, artifact: Artifact) -> ServedModel:
        return ServedModel(artifact, Chosen(NullEngine(artifact)), self.settings, self.metrics)


class Replies:
    """Counts replies, and tells when all of a group are there."""

    def __init__(self) -> None:
        self.last = b""
        self._missing = 0
        self._all: asyncio.Future[None] | None = None

    def expect(self, count: int) -> asyncio.Future[None]:
        self._missing, self._all = count, asyncio.get_running_loop().create_future()
        return self._all

    def add(self, reply: bytes) -> None:
        self.last = reply
        self._missing -= 1
        if self._all is None or self._all.done():
            return
        if not reply.startswith(OK):
            self._all.set_exception(WrongReply(f"the service answered {reply[:300]!r}"))
        elif not self._missing:
            self._all.set_result(None)


class NullTransport(asyncio.Transport):
    """Takes what a connection writes: a reply, or first its head and then its body."""

    def __init__(self, replies: Replies) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 3000)})
        self._replies = replies

    def write(self, data: Any) -> None:
        if data.startswith(b"HTTP/1.1 "):
            self._replies.add(data)

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Rig:
    """A worker of the service with open connections."""

    def __init__(self, model: Path, connections: int) -> None:
        """Raises ArtifactError."""
        settings = Settings(models=model, workers=1, timeout_ms=FOREVER_MS, short_call_ms=FOREVER_MS)
        self.models = NullModels(settings)
        self.loop = uvloop.new_event_loop()
        self._replies = Replies()
        self.loop.run_until_complete(self._start(connections, settings))

    async def _start(self, connections: int, settings: Settings) -> None:
        self.models.start(tuple(ROUTES))
        app = App(self.models, _nothing_behind, frozenset(), Keys(settings))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=FOREVER_MS // 1000)
        config.load()
        direct, state = Direct(self.models, None), ServerState()
        self._connections = [BoundedConnection(config, state, {}) for _ in range(connections)]
        for connection in self._connections:
            connection.direct = direct
            connection.connection_made(NullTransport(self._replies))

    def answer(self, requests: Sequence[bytes]) -> bytes:
        """Sends a request on each connection at a time until all are answered; the last reply written.

        Raises WrongReply for a status but 200.
        """
        return self.loop.run_until_complete(self._answer(requests))

    async def _answer(self, requests: Sequence[bytes]) -> bytes:
        for start in range(0, len(requests), len(self._connections)):
            group = requests[start : start + len(self._connections)]
            answered = self._replies.expect(len(group))
            for connection, request in zip(self._connections, group, strict=False):
                connection.data_received(request)
            await answered
        return self._replies.last

    def close(self) -> None:
        self.loop.run_until_complete(self.models.close())
        self.loop.close()


async def _nothing_behind(scope: Scope, receive: Receive, send: Send) -> None:
    raise WrongReply(f"{scope['path']} is no route of the service")
