"""GET /livez, /readyz: is the process up, and can the server answer?"""

from __future__ import annotations

from service.errors import Unready
from service.http import Receive, Scope, Send, send_json
from service.models import WARMING_UP, Models


async def livez(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"status": "alive"})


async def readyz(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Tells of all workers, whichever is asked. Raises Unready until every model of every one is warm."""
    if not models.ready:
        raise Unready(WARMING_UP)
    workers = [
        {"pid": status.pid, "ready": status.ready, "version": f"{status.version:012x}"}
        for status in models.board.statuses()
    ]
    waiting = sum(not worker["ready"] for worker in workers)
    if waiting:
        raise Unready(f"{waiting} of {len(workers)} workers are starting: ask again in a second")
    await send_json(send, {"status": "ready", "models": [model.id for model in models], "workers": workers})
