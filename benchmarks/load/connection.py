"""One keep-alive HTTP/1.1 connection with at most one request in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from benchmarks.load.ledger import BROKEN


class Connection(asyncio.Protocol):
    """Sends requests one at a time and tells when each is answered."""

    def __init__(
        self, answered: Callable[[Connection, int, int], None], lost: Callable[[Connection], None]
    ) -> None:
        """`answered` gets the request's number and the status, BROKEN where the answer never ended.

        `lost` is called once, after that, when the connection is of no more use.
        """
        self._answered, self._lost = answered, lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._number: int | None = None  # of the request in flight
        self._parts: list[bytes] | None = None  # of its answer, where that is kept
        self.free = False  # open, and nothing in flight

    def send(self, number: int, request: bytes, keep: bool = False) -> None:
        """The connection must be free. With `keep`, `take` gives the whole answer once it is told."""
        self.free = False
        self._number = number
        self._parts = [] if keep else None
        cast(asyncio.Transport, self._transport).write(request)

    def take(self) -> bytes | None:
        """The bytes of the last answer, head and body; None where it was not to be kept."""
        parts, self._parts = self._parts, None
        return None if parts is None else b"".join(parts)

    def close(self) -> None:
        self.free = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.free = True

    def data_received(self, data: bytes) -> None:
        if self._parts is not None:
            self._parts.append(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()  # whatever this was, it was no answer: connection_lost tells

    def eof_received(self) -> None:
        self.free = False  # the transport closes next

    def connection_lost(self, error: Exception | None) -> None:
        self.free = False
        self._transport = None
        self._tell(BROKEN)
        self._lost(self)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        parser = self._parser
        if not parser.should_keep_alive():
            self.close()
        elif self._number is not None:
            self.free = True
        self._tell(parser.get_status_code())

    def _tell(self, status: int) -> None:
        number, self._number = self._number, None
        if number is not None:
            self._answered(self, number, status)
