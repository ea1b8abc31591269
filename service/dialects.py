"""How each protocol tells a problem: the error bodies of the Open Inference Protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from service.errors import Problem
from service.http import JSON, Send, send_problem, send_reply

INFERENCE = "/v2"  # and everything below it


async def send_error(send: Send, path: str, problem: Problem) -> None:
    """Tells a problem in the words of the protocol that the path belongs to; problem+json elsewhere."""
    if path == INFERENCE or path.startswith(f"{INFERENCE}/"):
        body: dict[str, Any] = {"error": problem.detail}
    else:
        await send_problem(send, problem)
        return
    headers = [(key.encode(), value.encode("latin-1")) for key, value in problem.headers.items()]
    await send_reply(send, _status(problem), JSON, msgspec.json.encode(body), headers)


def _status(problem: Problem) -> int:
    """The problem's own, but for 422: the protocol says 400 of a value that is not allowed."""
    bad = problem.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.BAD_REQUEST if bad else problem.status
