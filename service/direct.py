"""The short way of the most frequent request: one small PNG, asked for with an ordinary head.

`POST /v1/images` in general goes through a task, a dozen coroutines and ASGI's messages. For a request that
can be told to be simple by its head and body, this does the same with two callbacks: from the connection to
the queue, and from the batch to the socket. Whatever is not simple, or is wrong, takes the general way; a
refusal is told here, since it has to be cheap, and so is what goes wrong once a request is in the queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from generator.spec import GeneratorSpec
from service.access_log import AccessLog
from service.batching import Job, Made
from service.encoding import Rendering
from service.errors import PROBLEM_JSON, Failed, Problem
from service.http import Headers
from service.metrics import GONE_CLIENT
from service.models import Models, ServedModel
from service.requests import ImagesRequest, parse_images_request, work_item
from service.routes.images import LARGE_REPLY, encoded, server_timing, timeout_s_of
from service.work import WorkItem

if TYPE_CHECKING:
    from service.connection import BoundedConnection

PATH = "/v1/images"
START = b"POST /v1/images HTTP/1.1\r\n"
MAX_BODY = 4096  # bytes
MAX_HEADS = 1024  # that are remembered,
MAX_HEAD = 1024  # each of no more bytes
HEAD = (
    b"content-type: image/png\r\ncontent-length: %d\r\n"
    b"x-model: %b\r\nserver-timing: %b\r\nx-batch-size: %d\r\n%b"
)
ORDINARY = frozenset({b"host", b"user-agent", b"accept-encoding", b"connection", b"accept-language"})
EXPECTED = {
    b"content-type": (b"application/json",),
    b"accept": (b"*/*", b"image/png", b"image/*", b"image/png, */*"),
}

logger = logging.getLogger("mintage")


class Direct:
    """Takes simple requests of the connections of a worker."""

    def __init__(self, models: Models, access_log: AccessLog | None) -> None:
        self.models, self.access_log = models, access_log
        self._heads: dict[bytes, int] = {}  # whole heads that were found simple -> bytes of the body

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a whole request whose head was found simple before; None for anything else."""
        end = data.find(b"\r\n\r\n") + 4
        length = self._heads.get(data[:end])
        return data[end:] if length is not None and len(data) == end + length else None

    def remember(self, data: bytes, body: bytes) -> None:
        """That a head is simple, if `data` is nothing but it and its body."""
        head = data[: len(data) - len(body)]
        is_whole = data.startswith(START) and data.endswith(body) and head.find(b"\r\n\r\n") + 4 == len(head)
        if is_whole and len(head) <= MAX_HEAD and len(self._heads) < MAX_HEADS:
            self._heads[head] = len(body)

    def is_simple(self, method: bytes, url: bytes, headers: Headers) -> bool:
        """Whether a head asks for what this answers, and for nothing besides."""
        if url != b"/v1/images" or method != b"POST":
            return False
        length = 0
        for name, value in headers:
            if name == b"content-length":
                length = int(value) if value.isdigit() and len(value) < 5 else 0
            elif name not in ORDINARY and value not in EXPECTED.get(name, ()):
                return False
        return 0 < length <= min(MAX_BODY, self.models.settings.max_body_bytes)

    def begin(self, connection: BoundedConnection, body: bytes) -> DirectCycle | None:
        """Puts the request into the queue; None where it has to take the general way."""
        began = time.perf_counter()
        settings = self.models.settings
        try:
            request = parse_images_request(body)
            model = self.models.of_request(request.model)
            if not self._is_small(request, model.spec):
                return None
            item = work_item(request, model.spec, settings, model.directions)
            if item.count > 1:
                return None
        except Problem:
            return None  # to be told in the general way
        cycle = DirectCycle(self, connection, model, Rendering("png", request.scale), began)
        cycle.enter(item, timeout_s_of(request.timeout_ms, settings))
        return cycle

    def _is_small(self, request: ImagesRequest, spec: GeneratorSpec) -> bool:
        values = (spec.image_size * request.scale) ** 2 * spec.channels
        is_png = request.format in (None, "png") and request.quality is None
        return is_png and values <= min(LARGE_REPLY, self.models.settings.max_pixels)


class DirectCycle:
    """One request on its way, in the place of uvicorn's RequestResponseCycle.

    uvicorn's connection sets `disconnected` and calls `message_event.set` when the client is gone, and clears
    `keep_alive` when the server shuts down. Nothing here refers to itself when it is done: pixels of a whole
    batch would wait for the collector.
    """

    __slots__ = (
        "_began", "_connection", "_direct", "_job", "_model", "_rendering", "disconnected", "keep_alive",
        "response_complete",
    )  # fmt: skip

    def __init__(
        self,
        direct: Direct,
        connection: BoundedConnection,
        model: ServedModel,
        rendering: Rendering,
        began: float,
    ) -> None:
        self._direct, self._connection, self._model = direct, connection, model
        self._rendering, self._began = rendering, began
        self._job: Job | None = None
        self.response_complete = self.disconnected = False
        self.keep_alive = True

    @property
    def message_event(self) -> DirectCycle:
        return self

    def enter(self, item: WorkItem, timeout_s: float) -> None:
        """Puts the item into the queue; a refusal is told at once, and costs next to nothing."""
        try:
            self._job = self._model.batcher.enter(item, timeout_s, self._answer)
        except Problem as problem:
            self._model.count(item, problem)
            self._tell(problem)

    def set(self) -> None:
        """Called by uvicorn when the client is gone."""
        job, self._job = self._job, None
        if self.disconnected and job is not None:
            self._model.batcher.leave(job)
            self._model.count(job.item, asyncio.CancelledError())
            self._note(GONE_CLIENT)

    def _answer(self, outcome: Made | Exception) -> None:
        """Writes the reply, or the problem, and lets the connection go on."""
        job, self._job, model = self._job, None, self._model
        assert job is not None
        model.count(job.item, outcome)
        if self._connection.transport.is_closing():
            self._note(GONE_CLIENT)
            return
        try:
            if isinstance(outcome, Exception):
                raise outcome
            content, encode_ms = encoded(model, job.item, self._rendering, outcome)
            head = _head(model, job.item, outcome, encode_ms, len(content))
        except Problem as problem:
            self._tell(problem)
        except Exception:
            logger.exception("POST %s failed", PATH)
            self._tell(Failed())
        else:
            model.metrics.encoded(encode_ms / 1000)
            self._send(200, head, content)

    def _tell(self, problem: Problem) -> None:
        body = problem.body()
        lines = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
        self._send(problem.status, _lines([*lines, *problem.header_lines()]), body)

    def _send(self, status: int, head: bytes, body: bytes) -> None:
        """`head` has the lines of the reply's own headers."""
        connection = self._connection
        others = _lines(connection.server_state.default_headers)
        last = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        connection.transport.write(b"".join((STATUS_LINE[status], others, head, last, body)))
        self.response_complete = True
        self._note(status)
        if not self.keep_alive:
            connection.transport.close()
        connection.on_direct_response_complete()

    def _note(self, status: int) -> None:
        seconds = time.perf_counter() - self._began
        self._direct.models.metrics.request(PATH, status, seconds)
        if self._direct.access_log is not None:
            scope = {"client": self._connection.client, "method": "POST", "path": PATH}
            self._direct.access_log.add(scope, status, seconds)


def _head(model: ServedModel, item: WorkItem, made: Made, encode_ms: float, length: int) -> bytes:
    """What `described` and `send_reply` say of an image, written at once."""
    seed = b"x-seed: %d\r\n" % item.seeds[0] if item.seeds else b""
    timing = server_timing(made, encode_ms)
    return HEAD % (length, model.id.encode(), timing, made.batch, seed)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % line for line in headers])
