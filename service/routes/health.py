"""GET /livez, /readyz: is the process up, and can it answer?"""

from __future__ import annotations

from service.errors import Unready
from service.http import Receive, Scope, Send, send_json
from service.models import WARMING_UP, Models


async def livez(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"status": "alive"})


async def readyz(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises Unready until every model is warm."""
    if not models.ready:
        raise Unready(WARMING_UP)
    await send_json(send, {"status": "ready", "models": [model.id for model in models]})
