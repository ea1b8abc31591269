"""A request's query parameters: each of a known name, and given once."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from service.errors import InvalidField
from service.http import Scope


def query_of(scope: Scope, allowed: Sequence[str]) -> dict[str, str]:
    """The parameters by name. Raises InvalidField."""
    query: dict[str, str] = {}
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        if key not in allowed:
            raise InvalidField(key, f"unknown parameter {key!r}: allowed are {', '.join(allowed)}")
        if key in query:
            raise InvalidField(key, f"{key} is given twice: leave one out")
        if value.lower() == "null":  # which msgspec would take for None
            raise InvalidField(key, f"{key} is {value}: leave it out")
        query[key] = value
    return query
