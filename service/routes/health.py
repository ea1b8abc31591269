"""GET /livez, /readyz: is the process up, and can it answer?"""

from __future__ import annotations

from service.errors import Unready
from service.http import Receive, Scope, Send, send_json
from service.models import Models


async def livez(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"status": "alive"})


async def readyz(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises Unready until every model is warm."""
    if not models.ready:
        raise Unready("models are still warming up: ask again in a second")
    await send_json(send, {"status": "ready", "models": [model.id for model in models]})
