"""The service as a system under test: HTTP over connections that stay open, on an event loop of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Sequence

import uvloop

from benchmarks.load.connection import Connection
from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.system import Done, Query
from benchmarks.questions import read_png

MOST = 64  # images of one request
OK = 200
LENGTH = "inference-header-content-length"


class Answering(Connection):
    """Keeps the headers and the body of an answer."""

    headers: dict[str, str]
    body = b""

    def on_message_begin(self) -> None:
        self.headers, self.body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self.body += data


class ServiceSystem:
    """Asks for one sample by POST /v1/images, for several in one request of the Open Inference Protocol.

    The first is answered with a PNG, the second with pixels: no other route takes a label and a seed for each
    image. With `decode`, for accuracy, PNGs become pixels too.
    """

    def __init__(
        self, port: int, model: str, connections: int, samples: Samples, done: Done, decode: bool
    ) -> None:
        self.done, self.failed = done, 0
        self._port, self._model, self._samples, self._decode = port, model, samples, decode
        self._free: deque[Connection] = deque()
        self._waiting: deque[Sequence[Query]] = deque()  # each for one request
        self._flying: dict[int, Sequence[Query]] = {}
        self._sent = 0
        self._closing = self._gone = False  # the client; the server
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(connections), self._loop).result()

    def issue(self, queries: Sequence[Query]) -> None:
        self._loop.call_soon_threadsafe(self._enter, queries)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, connections: int) -> None:
        await asyncio.gather(*(self._connect() for _ in range(connections)))

    async def _reconnect(self) -> None:
        try:
            await self._connect()
        except OSError:
            self._gone = True
            self._send()

    async def _connect(self) -> None:
        _, connection = await self._loop.create_connection(
            lambda: Answering(self._answered, self._lost), "127.0.0.1", self._port
        )
        self._free.append(connection)
        self._send()

    async def _close(self) -> None:
        self._closing = True
        for connection in self._free:
            connection.close()
        await asyncio.sleep(0)

    def _lost(self, connection: Connection) -> None:
        """The server closes connections that are quiet for long; another takes its place."""
        if connection in self._free:
            self._free.remove(connection)
        if not self._closing:
            task = self._loop.create_task(self._reconnect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _enter(self, queries: Sequence[Query]) -> None:
        self._waiting.extend(queries[start : start + MOST] for start in range(0, len(queries), MOST))
        self._send()

    def _send(self) -> None:
        """What waits goes out on the connections that are free, the longest quiet first."""
        while self._waiting and self._gone:
            self._fail(self._waiting.popleft())
        while self._waiting and self._free:
            connection, queries = self._free.popleft(), self._waiting.popleft()
            if not connection.free:
                self._waiting.appendleft(queries)
                continue
            self._sent += 1
            self._flying[self._sent] = queries
            connection.send(self._sent, self.request([index for _, index in queries]))

    def request(self, indices: Sequence[int]) -> bytes:
        """One HTTP request for these samples."""
        labels, seeds = [self._samples.label(i) for i in indices], [self._samples.seed(i) for i in indices]
        if len(indices) == 1:
            path, body = "/v1/images", f'{{"label":{labels[0]},"seed":{seeds[0]}}}'
        else:
            path = f"/v2/models/{self._model}.by_label/infer"
            inputs = [("seed", "UINT32", seeds), ("label", "INT64", labels)]
            tensors = [
                {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}
                for name, datatype, values in inputs
            ]
            outputs = [{"name": "images", "parameters": {"binary_data": True}}]
            body = json.dumps({"inputs": tensors, "outputs": outputs})
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _answered(self, connection: Connection, number: int, status: int) -> None:
        assert isinstance(connection, Answering)
        queries = self._flying.pop(number)
        if status == OK:
            self.done([query for query, _ in queries], self._answers(connection, len(queries)))
        else:
            self._fail(queries)
        if connection.free:
            self._free.append(connection)
        self._send()

    def _fail(self, queries: Sequence[Query]) -> None:
        """LoadGen waits for all of its samples, and has no word for those that do not come."""
        self.failed += len(queries)
        self.done([query for query, _ in queries], [b""] * len(queries))

    def _answers(self, connection: Answering, count: int) -> list[bytes]:
        """The bytes of each image: a PNG, or pixels."""
        if count == 1:
            png = connection.body
            return [read_png({}, png).tobytes() if self._decode else png]
        pixels = memoryview(connection.body)[int(connection.headers[LENGTH]) :]
        size = len(pixels) // count
        return [bytes(pixels[start : start + size]) for start in range(0, size * count, size)]
