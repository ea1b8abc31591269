"""OpenAPI descriptions of the routes that make images, and of the one that finds what makes them."""

from __future__ import annotations

from typing import Any

from generator.latents import MAX_TRUNCATION
from generator.refining import STEPS
from service.encoding import MEDIA_TYPES
from service.errors import PROBLEM_JSON
from service.films import FILM_TYPES
from service.http import JSON
from service.inversion_requests import MAX_REFINE
from service.requests import MAX_SCALE
from service.uploads import FIELD, FORM, FORMATS

Described = dict[str, Any]

_TEXT: Described = {"type": "string"}
_BINARY: Described = {"type": "string", "contentMediaType": "application/octet-stream"}
_TEXT_HEADER: Described = {"schema": _TEXT}
_WHOLE_HEADER: Described = {"schema": {"type": "integer", "minimum": 0}}
_HEADERS: Described = {
    "X-Model": _TEXT_HEADER,
    "X-Seed": _WHOLE_HEADER | {"description": "Of the image, or of the first"},
    "X-Batch-Size": _WHOLE_HEADER,
    "Server-Timing": _TEXT_HEADER,
}
_KEYFRAMES = {"X-Keyframes": _TEXT_HEADER | {"description": "Which frames the keyframes are, by commas"}}


def reply(component: str) -> Described:
    """The content of a JSON reply whose schema has a name."""
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{component}"}}}


def problem(description: str) -> Described:
    return {
        "description": description,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def making_paths(schemas: dict[str, Described], problems: Described, label: object) -> Described:
    """The routes that take JSON and make images.

    `schemas` are those of the bodies by path, `problems` what may be replied instead; `label` is a class.
    """
    keyframes = [{"label": label, "seed": seed} for seed in (7, 8, 9)]
    paths = {
        "/v1/images": _making(
            "images",
            "Make images of a class",
            "The images, in the form that `format` or the Accept header asks for; several as PNG, WebP or "
            "JPEG are a contact sheet",
            _forms(MEDIA_TYPES, "Images"),
            {
                "a class": {"label": label, "seed": 7, "scale": 8},
                "a sheet": {"label": label, "seed": 0, "n": 16, "scale": 4},
            },
        ),
        "/v1/interpolations": _making(
            "latent space",
            "Make the frames of a way through keyframes",
            "The frames, in the form that `format` or the Accept header asks for: one beside the other as "
            "PNG, an animation, an array [frames, height, width, channels], or one PNG each. GIF, APNG, npy "
            "and zip are sent while frames are made; Server-Timing is then that of the first ones",
            _forms(FILM_TYPES, "Interpolation"),
            {"a loop": {"keyframes": keyframes, "frames": 30, "loop": True, "format": "gif", "scale": 4}},
            _KEYFRAMES,
        ),
        "/v1/variations": _making(
            "latent space",
            "Make neighbours of an image",
            "The images, as those of /v1/images",
            _forms(MEDIA_TYPES, "Variations"),
            {"nine": {"label": label, "seed": 7, "strength": 0.3, "n": 9, "scale": 4}},
        ),
        "/v1/grids": _making(
            "latent space",
            "Make every class with every seed",
            "A row for each class and a column for each seed; or each image, row by row",
            _forms(MEDIA_TYPES, "Grid"),
            {"all": {"labels": "all", "seeds": [1, 2, 3], "axis_labels": True, "scale": 2}},
        ),
    }
    for path, operation in paths.items():
        operation["operationId"] = f"post{path.removeprefix('/v1/').capitalize()}"
        operation["requestBody"]["content"][JSON]["schema"] = schemas[path]
        operation["responses"] |= problems
    return {path: {"post": operation} for path, operation in paths.items()}


def _making(
    tag: str,
    summary: str,
    images: str,
    content: Described,
    examples: dict[str, Described],
    headers: Described | None = None,
) -> Described:
    """A POST of JSON, but for its schema. `images` says what comes, `headers` are those that others lack."""
    values = {name: {"value": value} for name, value in examples.items()}
    ok = {"description": images, "headers": {**_HEADERS, **(headers or {})}, "content": content}
    return {
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: {"examples": values}}},
        "responses": {"200": ok},
    }


def _forms(media_types: dict[Any, str], component: str) -> Described:
    return {media_type: {"schema": _BINARY} for media_type in media_types.values()} | reply(component)


def inversions_path(problems: Described) -> Described:
    """`problems` are what may be replied instead."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}
    ok = {
        "description": "What the image can be made of, and its reconstruction",
        "headers": {name: _HEADERS[name] for name in ("X-Model", "Server-Timing")},
        "content": reply("Inversion"),
    }
    operation = {
        "operationId": "postInversions",
        "tags": ["latent space"],
        "summary": "Find the latent and class that reproduce an image",
        "parameters": _query(
            model=(_TEXT, "Which model, of those with an encoder; the default one if left out"),
            label=(_TEXT, "The class by name, slug or index; what the encoder sees if left out"),
            refine=(
                {"type": "integer", "minimum": 0, "maximum": MAX_REFINE, "default": STEPS},
                "Steps that bring the reconstruction closer",
            ),
            timeout_ms=({"type": "integer", "minimum": 1}, "Give up when it takes longer"),
        ),
        "requestBody": {
            "required": True,
            "description": "An image of any size, whose centred square is taken; or a form with it",
            "content": {**{kind: {"schema": _BINARY} for kind in FORMATS}, FORM: {"schema": form}},
        },
        "responses": {"200": ok} | {status: told for status, told in problems.items() if status != "406"},
    }
    return {"post": operation}


def permalink_path() -> Described:
    path = {
        "model": "A model, or name@digest to pin its version for ever",
        "label": "A class by slug or index; the word mix with ?mix=",
        "file": "The seed and .png, .webp or .jpg; latent.png with ?latent=",
    }
    query = _query(
        truncation=(
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TRUNCATION},
            "Keeps the latent's components within [-t, t]",
        ),
        scale=({"type": "integer", "minimum": 1, "maximum": MAX_SCALE}, "Enlarges by a whole factor"),
        quality=({"type": "integer", "minimum": 1, "maximum": 100}, "Of .jpg and .webp"),
        directions=(_TEXT, "index:coefficient,index:coefficient"),
        mix=(_TEXT, "slug:weight,slug:weight"),
        latent=(_TEXT, "base64url of little-endian float32"),
    )
    ok = {
        "description": "The image",
        "headers": {"ETag": _TEXT_HEADER, "Cache-Control": _TEXT_HEADER},
        "content": {f"image/{kind}": {"schema": _BINARY} for kind in ("png", "webp", "jpeg")},
    }
    operation = {
        "operationId": "getImage",
        "tags": ["images"],
        "summary": "One image by a link that caches may keep for ever",
        "parameters": [
            {"name": name, "in": "path", "required": True, "description": text, "schema": _TEXT}
            for name, text in path.items()
        ]
        + query,
        "responses": {
            "200": ok,
            "304": {"description": "The client has it already (If-None-Match)"},
            "404": problem("No such model, class, seed or form"),
            "410": problem("That version of the model is no longer served"),
            "422": problem("A parameter has a value that is not allowed"),
            "429": problem("The queue is full"),
            "500": problem("The engine failed"),
            "503": problem("Starting or shutting down"),
            "504": problem("Not computed in time"),
        },
    }
    return {"get": operation}


def _query(**parameters: tuple[Described, str]) -> list[Described]:
    """Parameters of an address: the schema of each, and what it says."""
    return [
        {"name": name, "in": "query", "description": text, "schema": schema}
        for name, (schema, text) in parameters.items()
    ]
