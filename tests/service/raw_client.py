"""HTTP as bytes on a socket, for tests that need to know how a reply, or the lack of one, came about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any


class Broken(Exception):
    """A connection that ended before the reply was whole. `received` are the bytes of it that came."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"the connection broke after {len(received)} bytes of reply: {received[:80]!r}")
        self.received = received


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def head(self) -> bytes:
        """The head of the next reply, whose body `read` reads."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def read(self, count: int) -> bytes:
        """Up to so many bytes; none when the connection has ended."""
        return await self._reader.read(count)

    async def reply(self) -> Reply:
        """The next reply. Raises Broken."""
        head = body = b""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            raise Broken(head + error.partial) from None
        except ConnectionError:
            raise Broken(head) from None
        return Reply(int(first.split(" ")[1]), headers, body)

    async def ask(self, request: bytes) -> Reply:
        """Raises Broken."""
        try:
            await self.send(request)
        except ConnectionError:
            raise Broken(b"") from None
        return await self.reply()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def post(body: bytes | dict[str, Any], accept: str = "*/*", path: str = "/v1/images") -> bytes:
    """A POST as bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: test\r\naccept: {accept}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()
