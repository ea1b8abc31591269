"""What TensorRT logs, kept: its functions return nothing but that they failed, the log says why."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT = 1000  # lines


def collecting_logger(trt: Any, kept: int = KEPT) -> Any:
    """A logger for the module `trt`; its `lines` are (severity, message), 0 being the gravest."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[tuple[int, str]] = deque(maxlen=kept)

        def log(self, severity: Any, message: str) -> None:
            self.lines.append((int(severity), message))

        def take_error(self) -> str:
            """The last message of an error, which is told once; TensorRT does not always log one."""
            error = int(trt.ILogger.ERROR)
            found = next((text for grade, text in reversed(self.lines) if grade <= error), "it says no more")
            self.lines.clear()
            return found

    return Logger()
