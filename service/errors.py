"""What can go wrong with a request, each with its HTTP status; told as problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

PROBLEM_JSON = "application/problem+json"


class Problem(Exception):
    """A request that cannot be answered. `detail` says what is wrong, what is allowed, and the way out."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.members = members  # extension members, such as the field at fault

    def body(self) -> bytes:
        return msgspec.json.encode(
            {
                "type": "about:blank",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                **self.members,
            }
        )


class BadRequest(Problem):
    status = HTTPStatus.BAD_REQUEST


class Unauthorised(Problem):
    """No API key, or one that is not known."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    status = HTTPStatus.NOT_FOUND


class Gone(Problem):
    status = HTTPStatus.GONE


class MethodNotAllowed(Problem):
    status = HTTPStatus.METHOD_NOT_ALLOWED


class NotAcceptable(Problem):
    status = HTTPStatus.NOT_ACCEPTABLE


class BodyTimeout(Problem):
    status = HTTPStatus.REQUEST_TIMEOUT


class BodyTooLarge(Problem):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(Problem):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class InvalidField(Problem):
    """A field whose value is not allowed."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail, field=field)


class HeadTooLarge(Problem):
    """A request line and headers without end."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Overloaded(Problem):
    """The queue is full."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class RateLimited(Problem):
    """A key that asked for more than its share."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Unready(Problem):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Expired(Problem):
    """The request's time ran out before its images were computed."""

    status = HTTPStatus.GATEWAY_TIMEOUT
