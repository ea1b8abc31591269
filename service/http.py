"""The few words of ASGI that routes speak: read a body, send a reply or a problem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from service.errors import PROBLEM_JSON, BodyTimeout, BodyTooLarge, Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json"


class Disconnected(Exception):
    """The client is gone: nobody waits for a reply."""


def header(scope: Scope, name: bytes) -> str | None:
    """A request header by its lower-case name; several of one name are joined by commas."""
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1") if values else None


async def read_body(scope: Scope, receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTimeout, Disconnected."""
    length = header(scope, b"content-length")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    message = await _receive(receive, timeout_s)
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    ends = asyncio.get_running_loop().time() + timeout_s
    while message.get("more_body"):
        message = await _receive(receive, ends - asyncio.get_running_loop().time())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts)


async def _receive(receive: Receive, timeout_s: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise BodyTimeout("the body did not come in time: send it faster or in smaller parts") from None
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes: send fewer latents in one request")


@asynccontextmanager
async def cancelled_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Cancels the block when the client goes away. Raises Disconnected."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise Disconnected from None
    finally:
        watcher.cancel()


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
    headers = [(key.encode(), value.encode("latin-1")) for key, value in problem.headers.items()]
    await send_reply(send, problem.status, PROBLEM_JSON, problem.body(), headers)
