"""The OpenAPI 3.1 description of every route."""

from __future__ import annotations

from typing import Any

import msgspec

from generator.latents import MAX_TRUNCATION
from service import VERSION
from service.encoding import MEDIA_TYPES
from service.errors import PROBLEM_JSON
from service.inversion_requests import MAX_REFINE
from service.keys import METRICS, OPEN
from service.latent_requests import GridRequest, InterpolationRequest, VariationsRequest
from service.models import Models
from service.openai_requests import GenerationsRequest
from service.openapi_latent import grids_path, interpolations_path, inversions_path, variations_path
from service.openapi_protocols import COMPONENTS, generations_path, inference_paths
from service.reply_schemas import REPLIES
from service.requests import MAX_SCALE, ImagesRequest

_BINARY: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_TEXT_HEADER = {"schema": {"type": "string"}}
_KEYS = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_WHOLE_HEADER = {"schema": {"type": "integer", "minimum": 0}}
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
    (schema, generations, interpolations, variations, grids), components = msgspec.json.schema_components(
        [ImagesRequest, GenerationsRequest, InterpolationRequest, VariationsRequest, GridRequest],
        ref_template="#/components/schemas/{name}",
    )
    problems = {str(status): _problem(text) for status, text in _PROBLEMS.items()}
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
            "/v1/images": {"post": _post_images(schema, problems, name)},
            "/v1/images/generations": {"post": generations_path(generations, str(name))},
            "/v1/images/{model}/{label}/{file}": {"get": _get_image()},
            "/v1/interpolations": {"post": interpolations_path(interpolations, problems, name)},
            "/v1/variations": {"post": variations_path(variations, problems, name)},
            "/v1/grids": {"post": grids_path(grids, problems, name)},
            "/v1/inversions": {"post": inversions_path(problems, MAX_REFINE)},
            "/v1/stream": {"get": _get_stream()},
            "/v1/models": {"get": _get("models", "The models that are served", _json("Models"))},
            "/v1/models/{model}": {
                "get": _get(
                    "models",
                    "One model: manifest, engine, warm batch sizes, directions, encoder",
                    _json("Model"),
                    "model",
                )
            },
            **inference_paths(name),
            "/livez": {"get": _get("health", "Is the process up?", _json("Alive"))},
            "/readyz": {"get": _get("health", "Can it answer?", _json("Ready")) | _unready()},
            "/metrics": {"get": _get("health", "All workers' numbers, for Prometheus", _text())},
        },
        "components": {"schemas": components, "securitySchemes": _KEYS},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path not in OPEN:
                if path == METRICS:
                    operation["responses"]["403"] = _problem("Closed while API keys are on")
                operation["responses"]["401"] = _problem(
                    "API keys are on, and none or a wrong one came along"
                )
                operation["security"] = [{}, *({name: []} for name in _KEYS)]
    return document


def _post_images(schema: dict[str, Any], problems: dict[str, Any], label: object) -> dict[str, Any]:
    ok = {
        "description": "The images, in the form that `format` or the Accept header asks for; several "
        "as PNG, WebP or JPEG are a contact sheet",
        "headers": {
            "X-Model": _TEXT_HEADER,
            "X-Seed": _WHOLE_HEADER,
            "X-Batch-Size": _WHOLE_HEADER,
            "Server-Timing": _TEXT_HEADER,
        },
        "content": {
            **{media_type: _BINARY for form, media_type in MEDIA_TYPES.items() if form != "json"},
            **_json("Images"),
        },
    }
    return {
        "operationId": "postImages",
        "tags": ["images"],
        "summary": "Make images of a class",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schema,
                    "examples": {
                        "a class": {"value": {"label": label, "seed": 7, "scale": 8}},
                        "a sheet": {"value": {"label": label, "seed": 0, "n": 16, "scale": 4}},
                    },
                }
            },
        },
        "responses": {"200": ok} | problems,
    }


def _get_image() -> dict[str, Any]:
    text = {"type": "string"}
    path = {
        "model": "A model, or name@digest to pin its version for ever",
        "label": "A class by slug or index; the word mix with ?mix=",
        "file": "The seed and .png, .webp or .jpg; latent.png with ?latent=",
    }
    query = {
        "truncation": (
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TRUNCATION},
            "Keeps the latent's components within [-t, t]",
        ),
        "scale": ({"type": "integer", "minimum": 1, "maximum": MAX_SCALE}, "Enlarges by a whole factor"),
        "quality": ({"type": "integer", "minimum": 1, "maximum": 100}, "Of .jpg and .webp"),
        "directions": (text, "index:coefficient,index:coefficient"),
        "mix": (text, "slug:weight,slug:weight"),
        "latent": (text, "base64url of little-endian float32"),
    }
    image: dict[str, Any] = {f"image/{kind}": _BINARY for kind in ("png", "webp", "jpeg")}
    return {
        "operationId": "getImage",
        "tags": ["images"],
        "summary": "One image by a link that caches may keep for ever",
        "parameters": [
            {"name": key, "in": "path", "required": True, "description": text_, "schema": text}
            for key, text_ in path.items()
        ]
        + [
            {"name": key, "in": "query", "description": text_, "schema": schema}
            for key, (schema, text_) in query.items()
        ],
        "responses": {
            "200": {
                "description": "The image",
                "headers": {"ETag": _TEXT_HEADER, "Cache-Control": _TEXT_HEADER},
                "content": image,
            },
            "304": {"description": "The client has it already (If-None-Match)"},
            "404": _problem("No such model, class, seed or form"),
            "410": _problem("That version of the model is no longer served"),
            "422": _problem("A parameter has a value that is not allowed"),
            "429": _problem("The queue is full"),
            "500": _problem("The engine failed"),
            "503": _problem("Starting or shutting down"),
            "504": _problem("Not computed in time"),
        },
    }


def _get(tag: str, summary: str, content: dict[str, Any], parameter: str | None = None) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    operation: dict[str, Any] = {"tags": [tag], "summary": summary, "responses": responses}
    if parameter:
        responses["404"] = _problem(f"No such {parameter}")
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
            "403": _problem("A page of another origin, which has no leave"),
            "426": _problem("The request is no handshake of a WebSocket"),
            "429": _problem("All streams are taken"),
            "503": _problem("Starting"),
        },
    }


def _unready() -> dict[str, Any]:
    ready = {"description": "Every model is warm", "content": _json("Ready")}
    return {"responses": {"200": ready, "503": _problem("A worker is starting, hangs or is gone")}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}


def _json(component: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{component}"}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}
