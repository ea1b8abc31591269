"""The few words of ASGI that routes speak: read a body, send a reply or a problem."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Self, cast

import msgspec

from service.errors import PROBLEM_JSON, BodyTimeout, BodyTooLarge, Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json"
PATIENCE_S = 0.1
TOO_SLOW = "the body did not come in time: send it faster or in smaller parts"


class Disconnected(Exception):
    """The client is gone: nobody waits for a reply."""


def header(scope: Scope, name: bytes) -> str | None:
    """A request header by its lower-case name; several of one name are joined by commas."""
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            found = value if found is None else found + b", " + value
    return None if found is None else found.decode("latin-1")


async def read_body(scope: Scope, receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTimeout, Disconnected."""
    length = header(scope, b"content-length")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    with _CancelledLater(BodyTimeout(TOO_SLOW)) as block:
        block.after(timeout_s, block.cancel)
        return await _whole_body(receive, limit)


async def _whole_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes: send less in one request")


class _CancelledLater:
    """A block that may be cancelled by a timer and then raises `error`.

    Every request has two of them: it does less than asyncio.timeout.
    """

    def __init__(self, error: Exception) -> None:
        self._error, self._cancelled = error, False
        self._loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[None]", asyncio.current_task())
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(seconds, call)

    def cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Another cancellation, such as that of a shutdown, goes on as it is.
        if kind is asyncio.CancelledError and self._cancelled and not self._task.uncancel():
            raise self._error from None


class cancelled_on_disconnect(_CancelledLater):  # noqa: N801, used as a function is
    """Cancels the block when the client goes away, and raises Disconnected.

    Most replies are faster than `PATIENCE_S`; only for the others it pays to watch the connection.
    """

    def __init__(self, receive: Receive) -> None:
        super().__init__(Disconnected())
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.after(PATIENCE_S, self._watch)

    def _watch(self) -> None:
        self._watcher = self._loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        super().__exit__(kind)


async def send_reply(
    send: Send,
    status: int,
    content_type: str | None,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    about_body: Headers = []
    if content_type is not None:  # None: a reply without a body, such as 304
        about_body = [
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
        ]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*about_body, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, content: object, status: int = 200) -> None:
    await send_reply(send, status, JSON, msgspec.json.encode(content))


async def send_problem(send: Send, problem: Problem) -> None:
    await send_reply(send, problem.status, PROBLEM_JSON, problem.body(), problem.header_lines())
