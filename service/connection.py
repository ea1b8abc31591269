"""uvicorn's HTTP connection with a bound on what a request's head may be.

uvicorn with httptools keeps every byte of a head, or of the trailers of a body, until it is complete, so
that one client without a key could fill the memory.
"""

from __future__ import annotations

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import PROBLEM_JSON, HeadTooLarge

MAX_HEAD = 64 * 1024  # bytes; a head that arrives whole may be larger, as large as one read from the socket


class BoundedConnection(HttpToolsProtocol):
    """Hangs up on a client that sends more than `MAX_HEAD` bytes without ending a head or bringing a body."""

    _pending = 0  # bytes since anything was complete

    def data_received(self, data: bytes) -> None:
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MAX_HEAD and not self.transport.is_closing():
            self._hang_up()

    def on_headers_complete(self) -> None:
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending = 0
        super().on_message_complete()

    def _hang_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            problem = HeadTooLarge(f"the request's head is larger than {MAX_HEAD} bytes: send a shorter one")
            body = problem.body()
            head = (
                f"HTTP/1.1 {problem.status.value} {problem.status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            )
            close = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + close).encode() + body)
        self.transport.close()


def bound_connections() -> None:
    """Makes uvicorn use such connections; BentoML leaves the choice to it."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedConnection.__name__}"
