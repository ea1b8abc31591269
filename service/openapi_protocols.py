"""OpenAPI descriptions of the routes that speak other protocols: Open Inference (/v2) and OpenAI's images."""

from __future__ import annotations

from typing import Any

from service.http import JSON
from service.infer_bodies import OCTETS

_TEXT: dict[str, Any] = {"type": "string"}
_OBJECT: dict[str, Any] = {"type": "object"}
_TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": _TEXT,
        "datatype": {"enum": ["FP32", "FP64", "INT32", "INT64", "UINT32", "UINT64", "UINT8", "BYTES"]},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "parameters": _OBJECT | {"description": "binary_data_size: bytes of it that follow after the JSON"},
        "data": {"type": "array", "items": {}, "description": "Row by row, flat or nested"},
    },
}
_OUTPUT: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"const": "images"},
        "parameters": _OBJECT | {"description": "binary_data: true for binary data"},
    },
}

COMPONENTS: dict[str, Any] = {
    "Tensor": _TENSOR,
    "InferRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _TEXT,
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {"type": ["array", "null"], "items": _OUTPUT},
            "parameters": {
                "type": ["object", "null"],
                "properties": {
                    "binary_data_output": {"type": "boolean"},
                    "timeout": {"type": "integer", "minimum": 0, "description": "microseconds"},
                },
            },
        },
    },
    "InferReply": {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": _TEXT,
            "model_version": _TEXT,
            "id": _TEXT,
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        },
    },
    "InferError": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
    "Generations": {
        "type": "object",
        "required": ["created", "data"],
        "properties": {
            "created": {"type": "integer"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["seed", "revised_prompt"],
                    "properties": {
                        "b64_json": {"type": "string", "contentEncoding": "base64"},
                        "url": {"type": "string", "format": "uri"},
                        "seed": {"type": "integer"},
                        "revised_prompt": _TEXT,
                    },
                },
            },
            **dict.fromkeys(("output_format", "size", "background", "model"), _TEXT),
        },
    },
    "OpenAIError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    },
}

_REFUSALS = {
    "400": "A value that is not allowed",
    "404": "No such model or version",
    "408": "The body did not come in time",
    "413": "The body is too large",
    "415": "A content type or encoding that is not read here",
    "429": "The queue is full; Retry-After says when to come again",
    "503": "Starting or shutting down",
    "504": "Not computed in time",
}


def inference_paths(label: object) -> dict[str, Any]:
    """The routes of the Open Inference Protocol; `label` is a class of the default model."""
    paths: dict[str, Any] = {
        "/v2": {"get": _get("Name, version and extensions of the server")},
        "/v2/health/live": {"get": _get("Is the process up?")},
        "/v2/health/ready": {"get": _get("Is every model warm?", refusals=("503",))},
        "/v2/repository/index": {"post": _get("Every model, with version and state", refusals=("503",))},
    }
    for part in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        refusals = ("404", "503")
        paths[part] = {"get": _get("Inputs and outputs of a model", part, refusals)}
        paths[f"{part}/ready"] = {"get": _get("Is a model ready?", part, refusals)}
        paths[f"{part}/config"] = {"get": _get("Triton's configuration of a model", part, refusals)}
        paths[f"{part}/infer"] = {"post": _infer(label, part)}
    return paths


def _infer(label: object, path: str) -> dict[str, Any]:
    text = isinstance(label, str)
    example = {
        "inputs": [
            {"name": "seed", "datatype": "UINT32", "shape": [1], "data": [7]},
            {"name": "label", "datatype": "BYTES" if text else "INT64", "shape": [1], "data": [label]},
        ]
    }
    request = {"schema": {"$ref": "#/components/schemas/InferRequest"}}
    reply = {"schema": {"$ref": "#/components/schemas/InferReply"}}
    octets = {"schema": {"type": "string", "contentMediaType": OCTETS}}
    ok = {
        "description": "images, UINT8 [N, height, width, channels]",
        "headers": {"Inference-Header-Content-Length": {"schema": {"type": "integer"}}},
        "content": {JSON: reply, OCTETS: octets},
    }
    return {
        "tags": ["open inference protocol"],
        "summary": "Make images: NAME.by_label takes seed and label, NAME takes latent and class_vector",
        "parameters": [
            *_path_parameters(path),
            {
                "name": "Inference-Header-Content-Length",
                "in": "header",
                "description": "Length of the JSON, where binary data follows",
                "schema": {"type": "integer", "minimum": 0},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {JSON: request | {"examples": {"by label": {"value": example}}}, OCTETS: octets},
        },
        "responses": {"200": ok} | _refused("InferError", tuple(_REFUSALS)),
    }


def generations_path(schema: dict[str, Any], prompt: str) -> dict[str, Any]:
    """OpenAI's images request; `schema` is the one of its body, `prompt` a class of the default model."""
    request = {"schema": schema, "examples": {"a class": {"value": {"prompt": prompt, "seed": 7}}}}
    reply = {"schema": {"$ref": "#/components/schemas/Generations"}}
    return {
        "operationId": "postGenerations",
        "tags": ["images"],
        "summary": "The images request of OpenAI's API, whose prompt is the name of a class",
        "requestBody": {"required": True, "content": {JSON: request}},
        "responses": {"200": {"description": "The images, or links to them", "content": {JSON: reply}}}
        | _refused("OpenAIError", tuple(_REFUSALS)),
    }


def _get(summary: str, path: str = "", refusals: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "tags": ["open inference protocol"],
        "summary": summary,
        "parameters": _path_parameters(path),
        "responses": {"200": {"description": summary, "content": {JSON: {"schema": {}}}}}
        | _refused("InferError", refusals),
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def _refused(schema: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}
