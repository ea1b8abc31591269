"""The OpenAPI 3.1 description of every route."""

from __future__ import annotations

from typing import Any

import msgspec

from service import VERSION
from service.encoding import MEDIA_TYPES
from service.errors import PROBLEM_JSON
from service.keys import METRICS, OPEN
from service.models import Models
from service.openai_requests import GenerationsRequest
from service.openapi_protocols import COMPONENTS, generations_path, inference_paths
from service.requests import ImagesRequest

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


def openapi(models: Models) -> dict[str, Any]:
    """The whole document; its examples are requests that the served models answer."""
    (schema, generations), components = msgspec.json.schema_components(
        [ImagesRequest, GenerationsRequest], ref_template="#/components/schemas/{name}"
    )
    components |= COMPONENTS
    components["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The field at fault"},
            "retry_after_s": {"type": "integer"},
        },
    }
    components["Images"] = {
        "type": "object",
        "required": ["model", "images"],
        "properties": {
            "model": {"type": "string", "description": "name@digest"},
            "label": {"type": "string"},
            "mix": {"type": "object", "additionalProperties": {"type": "number"}},
            "truncation": {"type": ["number", "null"]},
            "images": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["seed", "b64_png"],
                    "properties": {
                        "seed": {"type": ["integer", "null"]},
                        "b64_png": {"type": "string", "contentEncoding": "base64"},
                    },
                },
            },
        },
    }
    name = models.find(models.default).spec.class_names[-1] if models.ready else 0
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "mintage",
            "version": VERSION,
            "description": "Images of a class on demand, from compact conditional GANs.",
        },
        "paths": {
            "/v1/images": {"post": _post_images(schema, name)},
            "/v1/images/generations": {"post": generations_path(generations, str(name))},
            "/v1/images/{model}/{label}/{file}": {"get": _get_image()},
            "/v1/models": {"get": _get("models", "The models that are served", _json({"type": "object"}))},
            "/v1/models/{model}": {
                "get": _get(
                    "models",
                    "One model: manifest, engine, warm batch sizes",
                    _json({"type": "object"}),
                    "model",
                )
            },
            **inference_paths(name),
            "/livez": {"get": _get("health", "Is the process up?", _json({"type": "object"}))},
            "/readyz": {"get": _get("health", "Can it answer?", _json({"type": "object"})) | _unready()},
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


def _post_images(schema: dict[str, Any], label: object) -> dict[str, Any]:
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
            media_type: _BINARY if form != "json" else {"schema": {"$ref": "#/components/schemas/Images"}}
            for form, media_type in MEDIA_TYPES.items()
        },
    }
    problems = {
        400: "The body is not JSON",
        406: "No form that the Accept header allows",
        408: "The body did not come in time",
        413: "The body is too large",
        415: "The body is not sent as application/json",
        422: "A field has a value that is not allowed; `field` names it",
        429: "The queue is full; Retry-After says when to come again",
        503: "Starting or shutting down",
        504: "timeout_ms was over",
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
        "responses": {"200": ok} | {str(s): _problem(text) for s, text in problems.items()},
    }


def _get_image() -> dict[str, Any]:
    text = {"type": "string"}
    path = {
        "model": "A model, or name@digest to pin its version for ever",
        "label": "A class by slug or index; the word mix with ?mix=",
        "file": "The seed and .png, .webp or .jpg; latent.png with ?latent=",
    }
    query = {
        "truncation": ({"type": "number"}, "Keeps the latent's components within [-t, t]"),
        "scale": ({"type": "integer"}, "Enlarges by a whole factor"),
        "quality": ({"type": "integer"}, "Of .jpg and .webp"),
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


def _unready() -> dict[str, Any]:
    ready = {"description": "Every model is warm", "content": _json({"type": "object"})}
    return {"responses": {"200": ready, "503": _problem("Still warming up")}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}
