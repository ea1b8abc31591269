"""The OpenAPI document is true of a real server: requests made from it get the replies that it promises."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

from service.models import Models
from service.openapi import openapi
from service.settings import Settings
from tests.service.test_server import serving

load_all_checks()
EXAMPLES = 1000 if os.environ.get("MINTAGE_TEST_LONG") else 60
NOT_OURS = {
    # What a field may be depends on others and on the model: a label is a string, but not any string is a
    # class. The schema cannot say it, so valid data by the schema may well get a 422, which is documented.
    "positive_data_acceptance",
}
OUR_CHECKS: Any = [check for check in CHECKS.get_all() if check.__name__ not in NOT_OURS]


@pytest.fixture(scope="module")
def server(models_with_encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits: dict[str, Any] = {
        "max_images": 64,
        "max_frames": 200,
        "max_buffered_frames": 200,
        "max_pixels": 2_000_000,
        "max_stream_pixels": 10**7,
    }
    with serving(tmp_path_factory.mktemp("home"), models=models_with_encoders, **limits) as (url, _):
        yield url


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with words in place of any text where only words that exist lead anywhere."""
    words = {
        "model": ["grey", "rgb", "none"],
        "label": ["0", "bag", "cat", "mix"],
        "version": ["none"],
        "file": ["7.png", "7.webp", "7.jpg", "latent.png", "7.gif"],
    }
    for operations in document["paths"].values():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["in"] == "path":
                parameter["schema"] = {"enum": words[parameter["name"]]}
    for parameter in document["paths"]["/v1/inversions"]["post"]["parameters"]:
        parameter["schema"] = {"model": {"enum": ["grey", "rgb"]}, "label": {"enum": ["0", "cat"]}}.get(
            parameter["name"], parameter["schema"]
        )
    label, coefficient = {"enum": [0, 1, "Bag", "cat"]}, {"type": "number", "minimum": -11, "maximum": 11}
    some = {"type": "object", "properties": {"0": coefficient, "4": coefficient}}
    narrow = {
        "model": {"enum": ["grey", "rgb", None]},
        "label": label,
        "labels": {"anyOf": [{"const": "all"}, {"type": "array", "items": label, "minItems": 1}]},
        "directions": {"anyOf": [some, {"type": "null"}]},
        "frames": {"type": "integer", "minimum": 2, "maximum": 210},
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 70},
    }
    for name in ("ImagesRequest", "InterpolationRequest", "Keyframe", "VariationsRequest", "GridRequest"):
        fields = document["components"]["schemas"][name]["properties"]
        fields |= {field: schema for field, schema in narrow.items() if field in fields}
        for field in ("mix", "latent"):
            fields.pop(field, None)
    return document


def patient(document: dict[str, Any]) -> dict[str, Any]:
    """The document without timeouts: one of a millisecond is rightly answered 504."""
    for operations in document["paths"].values():
        for operation in operations.values():
            parameters = operation.get("parameters", [])
            parameters[:] = [one for one in parameters if one["name"] != "timeout_ms"]
    for schema in document["components"]["schemas"].values():
        schema.get("properties", {}).pop("timeout_ms", None)
    return document


def described() -> dict[str, Any]:
    return openapi(Models(Settings()))


wide = schemathesis.openapi.from_dict(patient(described()))
deep = schemathesis.openapi.from_dict(patient(narrowed(described())))


@wide.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_reply_is_one_that_the_document_promises(case: schemathesis.Case[Any], server: str) -> None:
    case.call_and_validate(base_url=server, checks=OUR_CHECKS, timeout=30)


@deep.include(path_regex="^/v1/.*").parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_reply_to_words_that_exist_is_promised(case: schemathesis.Case[Any], server: str) -> None:
    case.call_and_validate(base_url=server, checks=OUR_CHECKS, timeout=30)


def test_the_document_that_is_tested_is_the_one_that_is_served(server: str) -> None:
    served = httpx.get(f"{server}/openapi.json").json()
    assert without_examples(served) == without_examples(json.loads(json.dumps(described())))


def without_examples(part: Any) -> Any:
    """They name classes of the served models."""
    if isinstance(part, dict):
        return {key: without_examples(value) for key, value in part.items() if key != "examples"}
    return [without_examples(value) for value in part] if isinstance(part, list) else part
