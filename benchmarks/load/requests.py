"""The bytes of each request: unique seeds, labels in turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

SEEDS = 2**32


def posts(host: str, path: str, *, accept: str = "", api_key: str = "") -> Callable[[bytes], bytes]:
    """Makes the bytes of a POST of JSON out of its body; `host` as the Host header has it."""
    more = f"Accept: {accept}\r\n" if accept else ""
    more += f"Authorization: Bearer {api_key}\r\n" if api_key else ""
    line = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{more}"

    @cache  # lengths are few: of the digits that a seed has
    def head(length: int) -> bytes:
        return f"{line}Content-Length: {length}\r\n\r\n".encode()

    return lambda body: head(len(body)) + body


class ImageRequests:
    """POSTs to one path of a server on this machine; request number i is always the same bytes."""

    def __init__(
        self, port: int, path: str, template: str, num_classes: int, first_seed: int = 0, images: int = 1
    ) -> None:
        """`template` is the body with %d for the label and the seed; a request uses up `images` seeds."""
        self._post = posts(f"127.0.0.1:{port}", path)
        self._template = template.encode()
        self._num_classes, self._first_seed, self._images = num_classes, first_seed, images

    def __call__(self, number: int) -> bytes:
        seed = (self._first_seed + number * self._images) % SEEDS
        return self._post(self._template % (number % self._num_classes, seed))
