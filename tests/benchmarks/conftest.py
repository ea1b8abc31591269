"""The service's application behind a real socket, in a thread."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from benchmarks.servers import free_port
from service.app import App
from service.http import Receive, Scope, Send
from service.keys import Keys
from service.middleware import in_front
from service.models import Models
from service.routes import ROUTES
from service.settings import Settings

Serving = Callable[..., AbstractContextManager[str]]


async def nothing_behind(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Watched:
    """The application, with what a test wants to see and to spoil."""

    def __init__(self, app: Any, bodies: list[dict[str, Any]], wrong_pixel: bool, slow_s: float) -> None:
        self._app, self._bodies, self._wrong_pixel, self._slow_s = app, bodies, wrong_pixel, slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def seen() -> Any:
            message = await receive()
            if message.get("body"):
                self._bodies.append(json.loads(message["body"]))
                time.sleep(self._slow_s)
            return message

        async def sent(message: Any) -> None:
            if self._wrong_pixel and message["type"] == "http.response.start":  # of another length
                headers = [header for header in message["headers"] if header[0] != b"content-length"]
                message = {**message, "headers": headers}
            if self._wrong_pixel and message.get("body", b"").startswith(b"\x89PNG"):
                message = {**message, "body": spoiled(message["body"])}
            await send(message)

        await self._app(scope, seen, sent)


def spoiled(png: bytes) -> bytes:
    """The same image with one step of one pixel."""
    pixels = np.array(Image.open(io.BytesIO(png)))
    pixels.flat[0] ^= 1
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def serving(models_folder: Path) -> Serving:
    """`with serving() as url`: with `bodies` a list to which what is asked is added."""

    @contextmanager
    def start(
        bodies: list[dict[str, Any]] | None = None,
        wrong_pixel: bool = False,
        slow_s: float = 0,
        **settings: Any,
    ) -> Iterator[str]:
        chosen = Settings(models=models_folder, workers=1, **settings)
        servers: Queue[uvicorn.Server] = Queue()
        keys, port = Keys(chosen), free_port()

        async def serve() -> None:
            models = Models(chosen)
            models.start(tuple(ROUTES))
            app = in_front(App(models, nothing_behind, frozenset(), keys), chosen)
            watched = Watched(app, [] if bodies is None else bodies, wrong_pixel, slow_s)
            server = uvicorn.Server(uvicorn.Config(watched, port=port, log_config=None, lifespan="off"))
            servers.put(server)
            await server.serve()
            await models.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        server = servers.get(timeout=20)
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()

    return start
