"""WS /v1/stream: steering in, frames out, and the newest always wins.

A stream makes one frame at a time, of the newest message; those in between are given up. A frame counts as
under way until its client says that it has `seen` it, and only `window` may be, so that what a slow client
sees is never older than that, whatever waits in sockets and proxies between here and there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from urllib.parse import urlsplit

import msgspec

from service.encoding import encode
from service.errors import Failed, Forbidden, NotFound, Problem, TooManyStreams, Unauthorised
from service.http import Receive, Scope, Send, header
from service.keys import Keys, given_key
from service.models import Models
from service.recipes import Recipe
from service.routes.images import LARGE_REPLY
from service.settings import Settings
from service.stream_messages import Course, Message, Wanted, frame, parse, raw

PATH = "/v1/stream"
WINDOW = 4  # frames under way, unless the client says otherwise
NORMAL, POLICY = 1000, 1008  # codes of RFC 6455, section 7.4.1
SWITCHED = 101

logger = logging.getLogger("mintage")


class Streams:
    """Lets streams in, and knows how many there are."""

    def __init__(self, models: Models, keys: Keys) -> None:
        self._models, self._keys = models, keys
        self._settings = models.settings
        most, workers = self._settings.max_streams, self._settings.workers
        self._most = max(1, most // workers) if most else 0
        self._open = 0

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Serves a WebSocket as long as it lasts; the status of its handshake."""
        await receive()  # websocket.connect
        try:
            is_admitted = self._admit(scope)
        except Problem as problem:
            await _refuse(scope, send, problem)
            return problem.status
        self._count(1)
        try:
            await send({"type": "websocket.accept"})
            await Stream(self._models, self._keys, is_admitted, send).run(receive)
        except OSError:
            pass  # the client is gone: uvicorn's ClientDisconnected
        finally:
            self._count(-1)
        return SWITCHED

    def _admit(self, scope: Scope) -> bool:
        """Whether its key came with the handshake, or none is needed. Raises Problem."""
        if scope["path"] != PATH:
            raise NotFound(f"{scope['path']} is no WebSocket of this server: there is {PATH}")
        self._models.of_request(None)  # are there any yet?
        _check_origin(scope, self._settings)
        if self._open >= self._most:
            raise TooManyStreams(f"{self._open} streams are open already", 5)
        key = given_key(scope)
        if self._keys and key is not None:
            self._keys.admit_key(key)
        return not self._keys or key is not None

    def _count(self, change: int) -> None:
        self._open += change
        self._models.metrics.streams(self._open)


class Stream:
    """One client's stream: a task that reads, and one that writes."""

    def __init__(self, models: Models, keys: Keys, is_admitted: bool, send: Send) -> None:
        self._models, self._keys, self._is_admitted, self._send = models, keys, is_admitted, send
        self._course = Course(models)
        self._wanted: Wanted | None = None
        self._superseded = 0  # since the last frame
        self._under_way: deque[int] = deque()  # the seq of frames not seen yet
        self._window = WINDOW
        self._told = ""  # the model version of the frames
        self._moved = asyncio.Event()  # something was wanted or seen
        self._pace = Pace(models.settings.stream_messages_per_s)

    async def run(self, receive: Receive) -> None:
        """Until the client leaves or has to. Raises OSError for a client that left in the midst."""
        writer: asyncio.Task[None] | None = None
        settings = self._models.settings
        try:
            patience_s = settings.body_timeout_s  # for the first message
            while True:
                async with asyncio.timeout(patience_s):
                    event = await receive()
                if event["type"] == "websocket.disconnect":
                    return
                if not self._pace.allows():
                    await self._close(POLICY, f"more than {settings.stream_messages_per_s} messages a second")
                    return
                await self._take(event.get("text"))
                if writer is None:  # begun when the key is known, to which its images are charged
                    writer = asyncio.create_task(self._write(), name="stream")
                elif writer.done():
                    return
                patience_s = settings.stream_idle_s
        except Unauthorised as problem:
            await self._tell(problem, None)
            await self._close(POLICY, "no API key, or a wrong one")
        except TimeoutError:
            await self._close(NORMAL, f"nothing came for {patience_s:g} s")
        finally:
            if writer is not None:
                writer.cancel()

    async def _take(self, text: str | None) -> None:
        """One message. Raises Unauthorised."""
        seq: int | None = None
        try:
            message = parse(text)
            seq = message.control.seq
            self._admit(message)
            self._obey(message)
        except Unauthorised:
            raise
        except Problem as problem:
            if not self._is_admitted:
                raise Unauthorised("the first message has to be JSON with this server's `key`") from None
            await self._tell(problem, seq)

    def _admit(self, message: Message) -> None:
        if not self._is_admitted:
            if message.control.key is None:
                raise Unauthorised(
                    "this server needs an API key: send it as `key` in the first message, "
                    "or as `X-API-Key: KEY` with the handshake"
                )
            self._keys.admit_key(message.control.key)
            self._is_admitted = True

    def _obey(self, message: Message) -> None:
        """Raises Problem; then nothing has changed."""
        if message.wants_frame:
            wanted = self._course.steer(message)
            self._superseded += self._wanted is not None
            self._wanted = wanted
        control = message.control
        self._window = control.window or self._window
        while control.seen is not None and self._under_way and self._under_way[0] <= control.seen:
            self._under_way.popleft()
        self._moved.set()

    async def _write(self) -> None:
        """Makes frames, each of what is wanted when there is room for it."""
        try:
            while True:
                while self._wanted is None or len(self._under_way) >= self._window:
                    self._moved.clear()
                    await self._moved.wait()
                wanted, self._wanted = self._wanted, None
                superseded, self._superseded = self._superseded, 0
                try:
                    content = await self._made(wanted, superseded)
                except Problem as problem:
                    self._superseded += superseded
                    await self._tell(problem, wanted.seq)
                    continue
                self._under_way.append(wanted.seq)
                await self._send({"type": "websocket.send", "bytes": content})
                self._models.metrics.frame(superseded)
        except OSError:
            pass  # the client is gone, which the reader is told too

    async def _made(self, wanted: Wanted, superseded: int) -> bytes:
        """A frame. Raises Problem."""
        model = wanted.model
        try:
            made = await model.make(wanted.item, self._models.settings.timeout_ms / 1000)
            began = time.perf_counter()
            scale = wanted.rendering.scale
            if wanted.form == "raw":
                content = raw(made, scale)
            else:
                recipe = Recipe(model.id, model.spec.class_names, wanted.item)
                work = (made.images, wanted.rendering, recipe)
                is_large = made.images.size * scale**2 > LARGE_REPLY
                content = await asyncio.to_thread(encode, *work) if is_large else encode(*work)
            encode_ms = (time.perf_counter() - began) * 1000
        except Problem:
            raise
        except Exception:
            logger.exception("WS %s failed", PATH)
            raise Failed from None
        model.metrics.encoded(encode_ms / 1000)
        if model.id != self._told:
            self._told = model.id
            await self._send_json({"model": model.id})
        return frame(wanted, made, content, encode_ms, superseded)

    async def _tell(self, problem: Problem, seq: int | None) -> None:
        await self._send_json({"seq": seq, "problem": msgspec.Raw(problem.body())})

    async def _send_json(self, content: object) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(content).decode()})

    async def _close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class Pace:
    """How many messages came in the current second."""

    def __init__(self, most_per_s: int) -> None:
        self._most, self._second, self._count = most_per_s, 0, 0

    def allows(self) -> bool:
        """Whether one more may come."""
        second = int(time.monotonic())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        return self._count <= self._most


def _check_origin(scope: Scope, settings: Settings) -> None:
    """Pages of other origins need leave here as well; browsers do not ask for it. Raises Forbidden."""
    origin = header(scope, b"origin")
    if origin is None or urlsplit(origin).netloc == header(scope, b"host"):
        return
    if origin not in settings.cors_origins and "*" not in settings.cors_origins:
        raise Forbidden(f"origin {origin[:100]}: MINTAGE_CORS_ORIGINS gives leave to pages of other origins")


async def _refuse(scope: Scope, send: Send, problem: Problem) -> None:
    """In place of the handshake, an ordinary reply, where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": problem.detail[:120]})
        return
    lines = [(b"content-type", b"application/problem+json"), *problem.header_lines()]
    await send({"type": "websocket.http.response.start", "status": int(problem.status), "headers": lines})
    await send({"type": "websocket.http.response.body", "body": problem.body()})
