"""What can go wrong with a request, each with its HTTP status; told as problem+json (RFC 9457)."""

from __future__ import annotations

import math
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

    def header_lines(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI has them."""
        return [(key.encode(), value.encode("latin-1")) for key, value in self.headers.items()]

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


class Failed(Problem):
    """Nothing that the client could have done better."""

    def __init__(self) -> None:
        super().__init__("the server failed on this request; its log says how. Send it again")


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


class UpgradeRequired(Problem):
    """A path that speaks WebSocket only."""

    status = HTTPStatus.UPGRADE_REQUIRED


class HeadTooLarge(Problem):
    """A request line and headers without end."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class ComeAgain(Problem):
    """A request refused for now, with the seconds after which it may be sent again."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, wait_s: float) -> None:
        seconds = max(1, math.ceil(wait_s))
        headers = {"retry-after": str(seconds)}
        super().__init__(f"{detail}: try again in {seconds} s", headers, retry_after_s=seconds)


class Overloaded(ComeAgain):
    """The queue is full."""


class TooManyStreams(ComeAgain):
    """No room for one more."""


class RateLimited(ComeAgain):
    """A key that asked for more than its share."""


class Unready(Problem):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Expired(Problem):
    """The request's time ran out before its images were computed."""

    status = HTTPStatus.GATEWAY_TIMEOUT
