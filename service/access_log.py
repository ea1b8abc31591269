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

    time: datetime
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
        self._waiting: deque[tuple[float, Scope, int, float]] = deque(maxlen=MAX_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def add(self, scope: Scope, status: int, seconds: float) -> None:
        self._waiting.append((time.time(), scope, status, seconds))

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
            lines += msgspec.json.encode(_line(*self._waiting.popleft())) + b"\n"
        if lines:
            self._file.write(lines)
            self._file.flush()


def _line(at: float, scope: Scope, status: int, seconds: float) -> Line:
    client = scope.get("client") or ("",)
    return Line(
        time=datetime.fromtimestamp(at, UTC),
        client=client[0],
        method=scope["method"],
        path=scope["path"][:MAX_PATH],
        status=status,
        ms=round(seconds * 1000, 3),
    )
