"""GET /metrics: what all workers counted and timed, for Prometheus."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from service.http import Receive, Scope, Send, send_reply
from service.models import Models


async def get_metrics(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, CONTENT_TYPE_PLAIN_0_0_4, models.metrics.exposition())
