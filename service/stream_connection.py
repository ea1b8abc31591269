"""uvicorn's WebSocket connection, with bounds on what a client can make the server keep."""

from __future__ import annotations

from typing import Any

import uvicorn.config
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

from service.connection import BoundedConnection

MAX_MESSAGE = 64 * 1024  # bytes: a latent of 4,096 components, in digits


class StreamConnection(WebSocketsSansIOProtocol):
    """Takes small messages only, compresses nothing (images are compressed), and lets go of the dead."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = ServerProtocol(max_size=MAX_MESSAGE, logger=self.logger)

    def data_received(self, data: bytes) -> None:
        """The first data are a whole head; one that is no handshake is answered, if it can be, and left."""
        super().data_received(data)
        if not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """A refusal answers the handshake too, which uvicorn forgets: it would log an error."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def keepalive_timeout(self) -> None:
        """Hangs up on a client that answers no ping; what it has not read is thrown away."""
        super().keepalive_timeout()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        BoundedConnection.tell_left(len(self.connections))


def use_stream_connections() -> None:
    """Makes uvicorn use such connections; BentoML leaves the choice to it."""
    uvicorn.config.WS_PROTOCOLS["auto"] = f"{__name__}:{StreamConnection.__name__}"
