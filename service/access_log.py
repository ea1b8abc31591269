"""The access log: one JSON object a line for each reply, written by a thread of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from service.http import Scope

EVERY_S = 0.5  # between two writes
MAX_PATH = 200  # characters of a path that are kept
MAX_WAITING = 100_000  # lines; beyond it the oldest are lost, and told


class Line(msgspec.Struct):
    """One reply. `ms` is from the head of the request to the end of the reply."""

    time: float  # seconds since 1970; written as RFC 3339
    client: str
    method: str
    path: str
    status: int
    ms: float


class AccessLog:
    """Takes lines at once and writes them later. A process that is killed loses the last half second."""

    def __init__(self, path: str) -> None:
        """`path` is a file that is appended to, or "-" for standard output. Raises OSError."""
        # Open as long as the process lives.
        self._file = sys.stdout.buffer if path == "-" else Path(path).open("ab")  # noqa: SIM115
        self._waiting: deque[Line] = deque(maxlen=MAX_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def add(self, scope: Scope, status: int, seconds: float) -> None:
        client = scope.get("client") or ("",)
        path, ms = scope["path"][:MAX_PATH], round(seconds * 1000, 3)
        self._waiting.append(Line(time.time(), client[0], scope["method"], path, status, ms))

    def close(self) -> None:
        """Writes what waits."""
        self._closing.set()
        self._thread.join()
        if self._file is not sys.stdout.buffer:
            self._file.close()

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lost = len(self._waiting) == MAX_WAITING
        lines = bytearray(b'{"warning":"lines were lost"}\n' if lost else b"")
        for _ in range(len(self._waiting)):
            lines += _encoded(self._waiting.popleft()) + b"\n"
        if lines:
            self._file.write(lines)
            self._file.flush()


def _encoded(line: Line) -> bytes:
    return msgspec.json.encode(
        {**msgspec.structs.asdict(line), "time": datetime.fromtimestamp(line.time, UTC)}
    )
