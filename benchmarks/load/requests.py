"""The bytes of each request: unique seeds, labels in turn."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = 2**32


@dataclass(frozen=True)
class ImageRequests:
    """POSTs of JSON to one path of a server; request number i is always the same bytes."""

    port: int
    path: str
    template: str  # the body: %d label, %d seed
    num_classes: int
    first_seed: int = 0
    images: int = 1  # seeds a request uses up

    def __call__(self, number: int) -> bytes:
        seed = (self.first_seed + number * self.images) % SEEDS
        body = self.template % (number % self.num_classes, seed)
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
