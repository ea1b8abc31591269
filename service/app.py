"""The ASGI application: finds the route, answers, turns problems into problem+json.

It stands in front of BentoML's own application and passes on only what that one has to answer; why, and
what it saves, is in docs/architecture.md.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from service.dialects import send_error
from service.errors import MethodNotAllowed, NotFound, Problem
from service.http import ASGIApp, Disconnected, Receive, Scope, Send
from service.models import Models
from service.routes import documentation, health, images, inference, openai, permalinks
from service.routes import models as model_routes

Route = Callable[[Models, Scope, Receive, Send], Awaitable[None]]

ROUTES: dict[str, dict[str, Route]] = {
    "/v1/images": {"POST": images.post_images},
    "/v1/images/generations": {"POST": openai.post_generations},
    "/v1/images/{model}/{label}/{file}": {"GET": permalinks.get_image},
    "/v1/models": {"GET": model_routes.list_models},
    "/v1/models/{model}": {"GET": model_routes.show_model},
    "/v2": {"GET": inference.server},
    "/v2/health/live": {"GET": inference.live},
    "/v2/health/ready": {"GET": inference.ready},
    "/v2/repository/index": {"POST": inference.repository_index},
    "/v2/models/{model}": {"GET": inference.model_metadata},
    "/v2/models/{model}/ready": {"GET": inference.model_ready},
    "/v2/models/{model}/config": {"GET": inference.model_config},
    "/v2/models/{model}/infer": {"POST": inference.infer},
    "/v2/models/{model}/versions/{version}": {"GET": inference.model_metadata},
    "/v2/models/{model}/versions/{version}/ready": {"GET": inference.model_ready},
    "/v2/models/{model}/versions/{version}/config": {"GET": inference.model_config},
    "/v2/models/{model}/versions/{version}/infer": {"POST": inference.infer},
    "/livez": {"GET": health.livez},
    "/readyz": {"GET": health.readyz},
    "/": {"GET": documentation.to_docs},
    "/docs": {"GET": documentation.docs},
    "/docs/{file}": {"GET": documentation.docs_file},
    "/openapi.json": {"GET": documentation.openapi_json},
}

logger = logging.getLogger("mintage")


class App:
    """Routes of our own, in front of BentoML's application."""

    def __init__(self, models: Models, bentoml_app: ASGIApp, bentoml_paths: frozenset[str]) -> None:
        self._models, self._bentoml_app, self._bentoml_paths = models, bentoml_app, bentoml_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in self._bentoml_paths:
            await self._bentoml_app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            route = find_route(scope)
            await route(self._models, scope, receive, send)
        except Problem as problem:
            await send_error(send, scope["path"], problem)
        except Disconnected:
            pass
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            failure = Problem("the server failed on this request; its log says how. Send it again")
            await send_error(send, scope["path"], failure)


def find_route(scope: Scope) -> Route:
    """The route for a path and method; puts `path_params` into the scope.

    Raises NotFound, MethodNotAllowed.
    """
    path: str = scope["path"]
    methods = None if "{" in path else ROUTES.get(path)
    if methods is None:
        methods, scope["path_params"] = _match(path)
    if not methods:
        raise NotFound(f"{path} is not a path of this server: GET /docs lists them")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if method not in methods:
        allowed = ", ".join(methods)
        raise MethodNotAllowed(f"{scope['method']} {path}: allowed is {allowed}", headers={"allow": allowed})
    return methods[method]


def _match(path: str) -> tuple[dict[str, Route], dict[str, str]]:
    """The methods and parameters of a path with `{parameters}`, each one segment; empty for no match."""
    segments = path.split("/")
    for pattern, methods in ROUTES.items():
        names = pattern.split("/")
        pairs = list(zip(names, segments, strict=False))
        if len(names) == len(segments) and all(
            bool(segment) if name.startswith("{") else name == segment for name, segment in pairs[1:]
        ):
            return methods, {name.strip("{}"): segment for name, segment in pairs if name.startswith("{")}
    return {}, {}
