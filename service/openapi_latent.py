"""OpenAPI descriptions of the routes that move through latent space."""

from __future__ import annotations

from typing import Any

from generator.refining import STEPS
from service.encoding import MEDIA_TYPES
from service.films import FILM_TYPES
from service.http import JSON
from service.uploads import FIELD, FORM, FORMATS

_TEXT_HEADER = {"schema": {"type": "string"}}
_WHOLE_HEADER = {"schema": {"type": "integer", "minimum": 0}}
_HEADERS: dict[str, Any] = {
    "X-Model": _TEXT_HEADER,
    "X-Batch-Size": _WHOLE_HEADER,
    "Server-Timing": _TEXT_HEADER,
}
_SEED = {"X-Seed": _WHOLE_HEADER | {"description": "Of the image, or of the first"}}
_KEYFRAMES = {"X-Keyframes": _TEXT_HEADER | {"description": "Which frames the keyframes are, by commas"}}


def interpolations_path(schema: dict[str, Any], problems: dict[str, Any], label: object) -> dict[str, Any]:
    """`schema` is the one of the body; `problems` what may be replied instead; `label` a class."""
    keyframes = [{"label": label, "seed": seed} for seed in (7, 8, 9)]
    example = {"keyframes": keyframes, "frames": 30, "loop": True, "format": "gif", "scale": 4}
    return _post(
        "postInterpolations",
        "Make the frames of a way through keyframes",
        "The frames, in the form that `format` or the Accept header asks for: one beside the other as PNG, "
        "an animation, an array [frames, height, width, channels], or one PNG each. GIF, APNG, npy and zip "
        "are sent while frames are made; Server-Timing is then that of the first ones",
        _content(FILM_TYPES, "Interpolation"),
        _HEADERS | _SEED | _KEYFRAMES,
        schema,
        {"a loop": {"value": example}},
        problems,
    )


def variations_path(schema: dict[str, Any], problems: dict[str, Any], label: object) -> dict[str, Any]:
    return _post(
        "postVariations",
        "Make neighbours of an image",
        "The images, as those of /v1/images",
        _content(MEDIA_TYPES, "Variations"),
        _HEADERS | _SEED,
        schema,
        {"nine": {"value": {"label": label, "seed": 7, "strength": 0.3, "n": 9, "scale": 4}}},
        problems,
    )


def grids_path(schema: dict[str, Any], problems: dict[str, Any], label: object) -> dict[str, Any]:
    return _post(
        "postGrids",
        "Make every class with every seed",
        "A row for each class and a column for each seed; or each image, row by row",
        _content(MEDIA_TYPES, "Grid"),
        _HEADERS | _SEED,
        schema,
        {"all": {"value": {"labels": "all", "seeds": [1, 2, 3], "axis_labels": True, "scale": 2}}},
        problems,
    )


def inversions_path(problems: dict[str, Any], max_refine: int) -> dict[str, Any]:
    binary: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: binary}}
    text = {"type": "string"}
    query: dict[str, tuple[dict[str, Any], str]] = {
        "model": (text, "Which model, of those with an encoder; the default one if left out"),
        "label": (text, "The class by name, slug or index; what the encoder sees if left out"),
        "refine": (
            {"type": "integer", "minimum": 0, "maximum": max_refine, "default": STEPS},
            "Steps that bring the reconstruction closer",
        ),
        "timeout_ms": ({"type": "integer", "minimum": 1}, "Give up when it takes longer"),
    }
    timing = {key: _HEADERS[key] for key in ("X-Model", "Server-Timing")}
    return {
        "operationId": "postInversions",
        "tags": ["latent space"],
        "summary": "Find the latent and class that reproduce an image",
        "parameters": [
            {"name": name, "in": "query", "description": description, "schema": schema}
            for name, (schema, description) in query.items()
        ],
        "requestBody": {
            "required": True,
            "description": "An image of any size, whose centred square is taken; or a form with it",
            "content": {**{media_type: {"schema": binary} for media_type in FORMATS}, FORM: {"schema": form}},
        },
        "responses": {
            "200": {
                "description": "What the image can be made of, and its reconstruction",
                "headers": timing,
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Inversion"}}},
            }
        }
        | {status: problem for status, problem in problems.items() if status != "406"},
    }


def _post(
    operation: str,
    summary: str,
    reply: str,
    content: dict[str, Any],
    headers: dict[str, Any],
    schema: dict[str, Any],
    examples: dict[str, Any],
    problems: dict[str, Any],
) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": ["latent space"],
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: {"schema": schema, "examples": examples}}},
        "responses": {"200": {"description": reply, "headers": headers, "content": content}} | problems,
    }


def _content(media_types: dict[Any, str], component: str) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    whole = {"schema": {"$ref": f"#/components/schemas/{component}"}}
    return {media_type: whole if media_type == JSON else binary for media_type in media_types.values()}
