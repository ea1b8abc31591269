"""One answer that was kept: status, headers, body, and what the service told of its making."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httptools

STAGES = ("queue", "engine", "encode")  # of Server-Timing, in ms
DURATION = re.compile(r"(\w+)\s*;\s*dur=([0-9.]+)")


@dataclass
class Answer:
    """An HTTP answer taken apart; the body is empty where only the head was kept."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Answer:
        """Of the bytes of one connection."""
        answer = cls()
        parser = httptools.HttpResponseParser(answer)
        parser.feed_data(raw)
        answer.status = parser.get_status_code()
        return answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    @property
    def batch(self) -> int | None:
        """Images of the engine call that this one was part of; None where it is not told."""
        text = self.headers.get("x-batch-size", "")
        return int(text) if text.isdecimal() else None

    @property
    def stages_ms(self) -> tuple[float, ...] | None:
        """Milliseconds of each of STAGES; None where the service does not tell all of them."""
        told = dict(DURATION.findall(self.headers.get("server-timing", "")))
        return tuple(float(told[stage]) for stage in STAGES) if told.keys() >= set(STAGES) else None
