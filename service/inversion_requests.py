"""What an address says besides an image that is to be inverted."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from generator.refining import STEPS
from generator.spec import GeneratorSpec, UnknownLabel
from service.errors import InvalidField
from service.http import Scope
from service.query import query_of
from service.requests import Timeout, invalid_field

MAX_REFINE = 20  # steps


class InversionRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """How an image is to be inverted."""

    model: str | None = None
    label: str | None = None
    refine: Annotated[int, Meta(ge=0, le=MAX_REFINE)] = STEPS
    timeout_ms: Timeout | None = None


ALLOWED = {
    "model": "the name of a model",
    "label": "a class by name, slug or index",
    "refine": f"whole numbers from 0 to {MAX_REFINE}",
    "timeout_ms": "whole numbers from 1",
}


def inversion_request(scope: Scope) -> InversionRequest:
    """What the address asks for. Raises InvalidField."""
    query = query_of(scope, InversionRequest.__struct_fields__)
    try:
        return msgspec.convert(query, InversionRequest, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_field(error, query, ALLOWED) from None


def label_of(text: str, spec: GeneratorSpec) -> int:
    """A class by its name or slug, or else by its index. Raises InvalidField."""
    is_index = text.isascii() and text.isdecimal() and len(text) < 6
    try:
        return spec.class_index(text)
    except UnknownLabel as error:
        if is_index and int(text) < spec.num_classes:
            return int(text)
        raise InvalidField("label", str(error)) from None
