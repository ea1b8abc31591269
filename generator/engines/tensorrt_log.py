"""What TensorRT logs, kept: its functions return nothing but that they failed, the log says why."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT = 50_000  # lines; a build with all details logs some thousands


def collecting_logger(trt: Any) -> Any:
    """A logger for the module `trt`; its `lines` are (severity, message), 1 being the gravest but one."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[tuple[int, str]] = deque(maxlen=KEPT)

        def log(self, severity: Any, message: str) -> None:
            self.lines.append((int(severity), message))

        def last_error(self) -> str:
            """The last message of an error; TensorRT does not always log one."""
            error = int(trt.ILogger.ERROR)
            return next((text for grade, text in reversed(self.lines) if grade <= error), "it says no more")

    return Logger()
