"""How each protocol tells a problem: the error bodies of the Open Inference Protocol and of OpenAI."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from service.errors import Problem
from service.http import JSON, Send, send_problem, send_reply

INFERENCE = "/v2"  # and everything below it
OPENAI = "/v1/images/generations"

# What OpenAI's errors are called; their clients choose the exception by the status.
_OPENAI_CODES: dict[int, tuple[str, str | None]] = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),  # the path itself has no other parts
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


async def send_error(send: Send, path: str, problem: Problem) -> None:
    """Tells a problem in the words of the protocol that the path belongs to; problem+json elsewhere."""
    if path == INFERENCE or path.startswith(f"{INFERENCE}/"):
        body: dict[str, Any] = {"error": problem.detail}
    elif path == OPENAI:
        body = {"error": _openai_error(problem)}
    else:
        await send_problem(send, problem)
        return
    await send_reply(send, _status(problem), JSON, msgspec.json.encode(body), problem.header_lines())


def _openai_error(problem: Problem) -> dict[str, Any]:
    """The error object of OpenAI's API reference: message, type, param, code."""
    status = _status(problem)
    kind, code = _OPENAI_CODES.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", None)
    )
    param = "model" if status == 404 else problem.members.get("field")
    return {"message": problem.detail, "type": kind, "param": param, "code": code}


def _status(problem: Problem) -> int:
    """The problem's own, but for 422: both protocols say 400 of a value that is not allowed."""
    bad = problem.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.BAD_REQUEST if bad else problem.status
