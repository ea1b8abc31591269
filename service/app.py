"""The ASGI application: finds the route, answers, turns problems into problem+json.

It stands in front of BentoML's own application and passes on only what that one has to answer; why, and
what it saves, is in docs/architecture.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping
from typing import Any

from service.access_log import AccessLog
from service.dialects import send_error
from service.errors import Failed, MethodNotAllowed, NotFound, Problem
from service.http import ASGIApp, Disconnected, Receive, Scope, Send
from service.keys import Keys
from service.metrics import GONE_CLIENT
from service.models import Models
from service.routes import ROUTES, Route, match
from service.streams import SWITCHED, Streams

logger = logging.getLogger("mintage")


class App:
    """Routes of our own, in front of BentoML's application."""

    def __init__(
        self,
        models: Models,
        bentoml_app: ASGIApp,
        bentoml_paths: frozenset[str],
        keys: Keys,
        access_log: AccessLog | None = None,
    ) -> None:
        self._models, self._bentoml_app, self._bentoml_paths = models, bentoml_app, bentoml_paths
        self._keys, self._access_log = keys, access_log
        self._streams = Streams(models, keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._observed(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        else:
            await self._bentoml_app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: counted and logged by its handshake."""
        began, status = time.perf_counter(), SWITCHED
        try:
            status = await self._streams.answer(scope, receive, send)
        finally:
            pattern, _ = match(scope["path"])
            if self._models.ready:
                self._models.metrics.stream(pattern, status)
            if self._access_log is not None:
                line = {"client": scope["client"], "method": "GET", "path": scope["path"]}
                self._access_log.add(line, status, time.perf_counter() - began)

    async def _observed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts, times and logs a request, whatever becomes of it."""
        began, status = time.perf_counter(), GONE_CLIENT

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        pattern, scope["path_params"] = match(scope["path"])
        try:
            await self._answer(pattern, scope, receive, noting)
        finally:
            seconds = time.perf_counter() - began
            if self._models.ready:
                self._models.metrics.request(pattern, status, seconds)
            if self._access_log is not None:
                self._access_log.add(scope, status, seconds)

    async def _answer(self, pattern: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._keys.admit(scope)
            if not pattern and scope["path"] in self._bentoml_paths:
                await self._bentoml_app(scope, receive, send)
                return
            route = find_route(pattern, scope)
            await route(self._models, scope, receive, send)
        except Problem as problem:
            await send_error(send, scope["path"], problem)
        except Disconnected:
            pass
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            await send_error(send, scope["path"], Failed())


def find_route(pattern: str, scope: Scope) -> Route:
    """The route for a path's pattern and the request's method. Raises NotFound, MethodNotAllowed."""
    if not pattern:
        raise NotFound(f"{scope['path']} is not a path of this server: GET /docs lists them")
    methods = ROUTES[pattern]
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if method not in methods:
        allowed = ", ".join(methods)
        raise MethodNotAllowed(
            f"{scope['method']} {scope['path']}: allowed is {allowed}", headers={"allow": allowed}
        )
    return methods[method]
