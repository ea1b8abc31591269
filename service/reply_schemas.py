"""JSON schemas of the replies, by name: the components of the OpenAPI document."""

from __future__ import annotations

from typing import Any

_TEXT, _WHOLE, _NUMBER, _TRUTH = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
_NUMBERS: dict[str, Any] = {"type": "object", "additionalProperties": _NUMBER}
_VERSION = {**_TEXT, "description": "name@digest"}
_PNG = {**_TEXT, "contentEncoding": "base64"}


def _object(optional: dict[str, Any] | None = None, /, **required: Any) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


REPLIES: dict[str, Any] = {
    "Problem": _object(
        {"field": {**_TEXT, "description": "The field at fault"}, "retry_after_s": _WHOLE},
        type=_TEXT,
        title=_TEXT,
        status=_WHOLE,
        detail=_TEXT,
    ),
    "Images": _object(
        {"label": _TEXT, "mix": _NUMBERS, "truncation": _NUMBER, "directions": _NUMBERS},
        model=_VERSION,
        images=_list(
            _object(
                seed={"type": ["integer", "null"], "description": "null where a latent was given"},
                b64_png=_PNG,
            )
        ),
    ),
    "Interpolation": _object(
        model=_VERSION,
        method=_TEXT,
        loop=_TRUTH,
        easing=_TEXT,
        fps=_WHOLE,
        keyframes=_list({**_WHOLE, "description": "Which frames the keyframes are"}),
        frames=_list(_object(b64_png=_PNG)),
    ),
    "Variations": _object(
        {"label": _TEXT, "mix": _NUMBERS},
        model=_VERSION,
        images=_list(
            _object(
                latent={**_TEXT, "description": "base64url of float32, as links take it"},
                variation_of={"type": "object", "description": "Class and seed or latent of the image"},
                strength=_NUMBER,
                variation_seed=_WHOLE,
                b64_png=_PNG,
            )
        ),
    ),
    "Grid": _object(
        {"truncation": _NUMBER, "directions": _NUMBERS},
        model=_VERSION,
        images=_list(_object(seed=_WHOLE, label=_TEXT, b64_png=_PNG)),
    ),
    "Inversion": _object(
        model=_VERSION,
        label={**_TEXT, "description": "The class that was asked for, or the most probable one"},
        probabilities={**_NUMBERS, "description": "What the encoder sees in the image, by class"},
        latent=_list(_NUMBER),
        error={**_NUMBER, "description": "Root mean square of the reconstruction's pixels, of 255"},
        encoder_error={**_NUMBER, "description": "The same before refinement"},
        permalink={**_TEXT, "description": "The reconstruction's link, for ever"},
        b64_png={**_PNG, "description": "The reconstruction"},
        b64_seen_png={**_PNG, "description": "The image as the encoder saw it"},
    ),
    "Model": _object(
        id=_TEXT,
        object={"const": "model"},
        created={**_WHOLE, "description": "Seconds since 1970"},
        owned_by=_TEXT,
        version={**_TEXT, "description": "name@digest"},
        default={**_TRUTH, "description": "Whether it answers requests that name no model"},
        engine=_object(
            key=_TEXT,
            choice=_TEXT,
            not_taken=_list(_object(engine=_TEXT, reason=_TEXT)),
        ),
        warm_batch_sizes=_list(_WHOLE),
        directions=_list(
            _object(
                index=_WHOLE,
                explained={**_NUMBER, "description": "Its share of what the first layer answers to a latent"},
            )
        ),
        encoder={**_TRUTH, "description": "Whether /v1/inversions takes images for it"},
        manifest=_object(
            name=_TEXT,
            digest=_TEXT,
            spec=_object(
                class_names=_list(_TEXT),
                slugs=_list(_TEXT),
                image_size=_WHOLE,
                channels={"enum": [1, 3]},
                latent_dim=_WHOLE,
                noise={"enum": ["gaussian", "uniform"]},
            ),
            files={"type": "object", "additionalProperties": _TEXT},
            provenance={"type": "object"},
            parity={"type": "object"},
            metrics={"type": "object"},
        ),
    ),
    "Models": _object(object={"const": "list"}, data=_list({"$ref": "#/components/schemas/Model"})),
    "Alive": _object(status={"const": "alive"}),
    "Ready": _object(
        status={"const": "ready"},
        models=_list(_TEXT),
        workers=_list(_object(pid=_WHOLE, version=_TEXT)),
    ),
}
