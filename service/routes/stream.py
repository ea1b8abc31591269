"""GET /v1/stream by ordinary HTTP: the way to it. Streams themselves are in service/streams.py."""

from __future__ import annotations

from service.errors import UpgradeRequired
from service.http import Receive, Scope, Send
from service.models import Models


async def not_a_websocket(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises UpgradeRequired."""
    raise UpgradeRequired(
        "/v1/stream is a WebSocket: connect to it with ws:// or wss://; docs/stream.md has its messages",
        headers={"upgrade": "websocket", "connection": "upgrade"},
    )
