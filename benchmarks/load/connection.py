"""One keep-alive HTTP/1.1 connection with at most one request in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

BROKEN = 0  # in place of a status: the connection ended before the answer did


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

    def send(self, number: int, request: bytes) -> None:
        """The connection must be open and free."""
        assert self._transport is not None
        assert self._number is None
        self._number = number
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()  # whatever this was, it was no answer: connection_lost tells

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._tell(BROKEN)
        self._lost(self)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        if not self._parser.should_keep_alive():
            self.close()
        self._tell(self._parser.get_status_code())

    @property
    def free(self) -> bool:
        """Open, and nothing in flight."""
        return self._transport is not None and not self._transport.is_closing() and self._number is None

    def _tell(self, status: int) -> None:
        number, self._number = self._number, None
        if number is not None:
            self._answered(self, number, status)
