"""uvicorn's HTTP connection, with bounds on what a client can make the server keep.

uvicorn with httptools keeps every byte of a head, or of the trailers of a body, until it is complete, and a
reply until the client has read it, however long that takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.direct import Direct
from service.errors import PROBLEM_JSON, HeadTooLarge

MAX_HEAD = 64 * 1024  # bytes; a head that arrives whole may be larger, as large as one read from the socket
LAST_LOOK_S = 0.01  # between the end of a connection's time without requests and its being closed


class BoundedConnection(HttpToolsProtocol):
    """Hangs up on clients whose heads are endless or late, who read no replies, or ask nothing for long."""

    stalled_s = 30.0  # a client that reads nothing of a reply for so long is not there
    head_s = 30.0  # so long a client may take for a head
    keep_alive_s = 75  # so long a connection stays open without a request
    tell_left: Callable[[int], None] = staticmethod(
        lambda count: None
    )  # how many connections there still are
    direct: Direct | None = None  # answers simple requests; None: everything takes the general way
    _simple: bytearray | None = None  # the body of a simple request, as far as it came
    _data = b""  # what came last
    _answered_s = 0.0  # when a simple request was answered while a keep-alive timer ran; the loop's clock
    _parsing = False  # whether the parser has begun a request and not ended it
    _pending = 0  # bytes since anything was complete
    _upgraded = False  # the connection is a WebSocket now, and not this object's
    _watch: asyncio.TimerHandle | None = None
    _wait: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive = self.keep_alive_s  # uvicorn's
        transport.set_write_buffer_limits(high=0)  # so that the client's not reading is told at once
        self._close_later(self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        if self._knows(data):
            return
        self._pending += len(data)
        self._data = b"" if self._parsing else data
        super().data_received(data)
        self._data = b""
        if self._simple is not None:  # its body has yet to come, and may be waited for in the general way
            self._generally(self._simple)
        if self.transport.is_closing():
            return
        if self._pending > MAX_HEAD:
            self._hang_up()
        elif self._wait is None and (self._pending or self._nobody_waits()):
            self._wait_for_head()

    def _nobody_waits(self) -> bool:
        """Whether no reply is on its way and no timer runs, as after the late body of an early reply."""
        is_done = self.cycle is None or self.cycle.response_complete
        return is_done and self.timeout_keep_alive_task is None and not self._upgraded

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self._upgraded = True

    def _knows(self, data: bytes) -> bool:
        """Whether this is a simple request with a head that was parsed before; then it is on its way."""
        if self.direct is None or self._parsing or not self._is_free():
            return False
        body = self.direct.body_of(data)
        if body is None:
            return False
        self._came()
        cycle = self.direct.begin(self, body)
        if cycle is None:
            return False
        self.cycle = cycle  # type: ignore[assignment]  # it has what the connection asks of a cycle
        return True

    def on_message_begin(self) -> None:
        self._parsing = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._came()
        self._unset_keepalive_if_required()  # a reply in this very chunk may have set it
        if self.direct is not None and self._may_be_direct():
            self._simple = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._came()
        if self._simple is not None:
            self._simple += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._came()
        self._parsing = False
        body = self._simple
        if body is None:
            super().on_message_complete()
            return
        if self.direct is None or (cycle := self.direct.begin(self, bytes(body))) is None:
            self._generally(body)
            super().on_message_complete()
        else:
            self._simple = None
            self.cycle = cycle  # type: ignore[assignment]
            self.direct.remember(self._data, bytes(body))

    def on_direct_response_complete(self) -> None:
        """As `on_response_complete`, but leaves a keep-alive timer that runs already to look again later."""
        if self.pipeline or self.timeout_keep_alive_task is None or self.transport.is_closing():
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._answered_s = self.loop.time()

    def timeout_keep_alive_handler(self, is_last_look: bool = False) -> None:
        """Hangs up on a client that has asked nothing since it connected or had its last reply.

        An event loop comes to its timers before its sockets: a request that came while it was busy is not
        read yet when the time is over. So it looks once more when sockets have had their turn.
        """
        self.timeout_keep_alive_task = None
        if self.cycle is not None and not self.cycle.response_complete:
            return  # that reply starts a timer
        left_s = self._answered_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._close_later(left_s)
        elif not is_last_look:
            self._close_later(LAST_LOOK_S, True)
        else:
            super().timeout_keep_alive_handler()

    def _close_later(self, seconds: float, is_last_look: bool = False) -> None:
        """Unless there is a request by then."""
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler, is_last_look
        )

    def _may_be_direct(self) -> bool:
        """Whether nothing but the head and body of this request decides how it is answered."""
        return (
            self.direct is not None
            and self._is_free()
            and self.direct.is_simple(self.parser.get_method(), self.url, self.headers)
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _is_free(self) -> bool:
        """Whether no request is on its way and the client reads its replies."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _generally(self, body: bytearray) -> None:
        """Hands a request that seemed simple over to uvicorn, as if it had come just now."""
        self._simple = None
        super().on_headers_complete()
        if body:
            super().on_body(bytes(body))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reply(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_watch()
        self._came()
        self._unset_keepalive_if_required()  # which uvicorn leaves running where the client reset
        super().connection_lost(exc)
        self.tell_left(len(self.server_state.connections))

    def _came(self) -> None:
        self._pending = 0
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None

    def _wait_for_head(self) -> None:
        self._wait = self.loop.call_later(self.head_s, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:  # the next head of a client that waits for a reply
            self._wait_for_head()

    def _watch_reply(self, unread: int) -> None:
        self._watch = self.loop.call_later(self.stalled_s, self._look, unread)

    def _look(self, unread_before: int) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread < unread_before:
            self._watch_reply(unread)
        else:
            self.transport.abort()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

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


def use_connections(direct: Direct | None, keep_alive_s: int) -> None:
    """Makes uvicorn use such connections; BentoML leaves the choice to it."""
    BoundedConnection.direct, BoundedConnection.keep_alive_s = direct, keep_alive_s
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedConnection.__name__}"
