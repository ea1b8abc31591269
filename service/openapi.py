"""The OpenAPI 3.1 description of every route."""

from __future__ import annotations

from typing import Any

import msgspec

from service import VERSION
from service.keys import METRICS, OPEN
from service.latent_requests import GridRequest, InterpolationRequest, VariationsRequest
from service.models import Models
from service.openai_requests import GenerationsRequest
from service.openapi_images import inversions_path, making_paths, permalink_path, problem, reply
from service.openapi_protocols import COMPONENTS, generations_path, inference_paths
from service.reply_schemas import REPLIES
from service.requests import ImagesRequest

_KEYS = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_BODIES = {
    "/v1/images": ImagesRequest,
    "/v1/interpolations": InterpolationRequest,
    "/v1/variations": VariationsRequest,
    "/v1/grids": GridRequest,
}
_PROBLEMS = {
    400: "The body is not JSON, or no form",
    406: "No form that the Accept header allows",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The body is not sent as application/json, or not as an image where it is one",
    422: "A field has a value that is not allowed; `field` names it",
    429: "The queue is full; Retry-After says when to come again",
    500: "The engine failed; the server's log says how",
    503: "Starting or shutting down",
    504: "timeout_ms was over",
}


def openapi(models: Models) -> dict[str, Any]:
    """The whole document; its examples are requests that the served models answer."""
    (generations, *bodies), components = msgspec.json.schema_components(
        [GenerationsRequest, *_BODIES.values()], ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(_BODIES, bodies, strict=True))
    problems = {str(status): problem(text) for status, text in _PROBLEMS.items()}
    components |= COMPONENTS | REPLIES
    name = models.find(models.default).spec.class_names[-1] if models.ready else 0
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "mintage",
            "version": VERSION,
            "description": "Images of a class on demand, from compact conditional GANs.",
        },
        "paths": {
            **making_paths(schemas, problems, name),
            "/v1/inversions": inversions_path(problems),
            "/v1/images/{model}/{label}/{file}": permalink_path(),
            "/v1/images/generations": {"post": generations_path(generations, str(name))},
            "/v1/stream": {"get": _get_stream()},
            "/v1/models": {"get": _get("models", "The models that are served", reply("Models"))},
            "/v1/models/{model}": {
                "get": _get(
                    "models",
                    "One model: manifest, engine, warm batch sizes, directions, encoder",
                    reply("Model"),
                    "model",
                )
            },
            **inference_paths(name),
            "/livez": {"get": _get("health", "Is the process up?", reply("Alive"))},
            "/readyz": {"get": _get("health", "Can it answer?", reply("Ready")) | _unready()},
            "/metrics": {"get": _get("health", "All workers' numbers, for Prometheus", _text())},
        },
        "components": {"schemas": components, "securitySchemes": _KEYS},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path not in OPEN:
                if path == METRICS:
                    operation["responses"]["403"] = problem("Closed while API keys are on")
                operation["responses"]["401"] = problem("API keys are on, and none or a wrong one came along")
                operation["security"] = [{}, *({name: []} for name in _KEYS)]
    return document


def _get(tag: str, summary: str, content: dict[str, Any], parameter: str | None = None) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    operation: dict[str, Any] = {"tags": [tag], "summary": summary, "responses": responses}
    if parameter:
        responses["404"] = problem(f"No such {parameter}")
        operation["parameters"] = [
            {"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation


def _get_stream() -> dict[str, Any]:
    return {
        "operationId": "getStream",
        "tags": ["images"],
        "summary": "A WebSocket for images that follow a hand: docs/stream.md has its messages",
        "responses": {
            "101": {"description": "The WebSocket is open"},
            "403": problem("A page of another origin, which has no leave"),
            "426": problem("The request is no handshake of a WebSocket"),
            "429": problem("All streams are taken"),
            "503": problem("Starting"),
        },
    }


def _unready() -> dict[str, Any]:
    ready = {"description": "Every model is warm", "content": reply("Ready")}
    return {"responses": {"200": ready, "503": problem("A worker is starting, hangs or is gone")}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}
