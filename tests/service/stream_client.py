"""A client of the stream, as docs/stream.md describes it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import ClientConnection, connect

HEADER = struct.Struct("<BBBBIIHHIfff")
FORMS = ("raw", "png", "webp")
TIMEOUT_S = 20


@dataclass(frozen=True)
class Frame:
    form: str
    channels: int
    seq: int
    superseded: int
    width: int
    height: int
    seed: int | None
    content: bytes

    @classmethod
    def read(cls, message: bytes) -> Frame:
        version, form, channels, has_seed, seq, superseded, width, height, seed, *times = HEADER.unpack_from(
            message
        )
        assert version == 1
        assert all(0 <= ms < 60_000 for ms in times)
        content = message[HEADER.size :]
        return cls(FORMS[form], channels, seq, superseded, width, height, seed if has_seed else None, content)


class Client:
    """One stream. Text that tells of problems is returned; that which tells the model is kept in `model`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.model = socket, ""

    def send(self, **fields: Any) -> None:
        self.socket.send(json.dumps(fields))

    def next(self) -> Frame | dict[str, Any]:
        """The next frame, or the next problem."""
        while True:
            message = self.socket.recv(TIMEOUT_S)
            if isinstance(message, bytes):
                return Frame.read(message)
            told: dict[str, Any] = json.loads(message)
            if "problem" in told:
                return told
            self.model = told["model"]

    def frame(self) -> Frame:
        found = self.next()
        assert isinstance(found, Frame), found
        self.send(seen=found.seq)
        return found

    def ask(self, **fields: Any) -> Frame:
        self.send(**fields)
        return self.frame()

    def problem(self, **fields: Any) -> dict[str, Any]:
        self.send(**fields)
        found = self.next()
        assert isinstance(found, dict), found
        return found


@contextmanager
def streaming(url: str, path: str = "/v1/stream", **options: Any) -> Iterator[Client]:
    address = url.replace("http", "ws", 1) + path
    with connect(address, compression=None, max_size=None, **options) as socket:
        yield Client(socket)
