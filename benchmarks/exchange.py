"""One request over a connection of its own."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_S = 60.0
FAILURES = (OSError, http.client.HTTPException)  # what `exchange` raises where there is no answer


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def exchange(
    host: str, port: int, method: str, path: str, body: bytes | str | None, headers: Mapping[str, str]
) -> Reply:
    """Raises FAILURES."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        content = reply.read()
    finally:
        connection.close()
    return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)
