"""GET /livez, /readyz: is the process up, and can the server answer?"""

from __future__ import annotations

from service.http import Receive, Scope, Send, send_json
from service.models import Models


async def livez(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"status": "alive"})


async def readyz(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Tells of all workers, whichever is asked. Raises Unready until every model of every one is warm."""
    models.check_ready()
    workers = [{"pid": s.pid, "version": f"{s.version:012x}"} for s in models.board.statuses()]
    await send_json(send, {"status": "ready", "models": [model.id for model in models], "workers": workers})
