"""Problems in the words of each protocol."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from generator.engines import Engine
from generator.pixels import Pixels
from service.app import App
from service.batching import MicroBatcher
from service.dialects import send_error
from service.errors import Expired, InvalidField, Overloaded, Problem, Unready, UnsupportedMediaType
from service.keys import Keys
from service.models import Models
from service.settings import Settings
from tests.service.conftest import nothing_behind


class Unauthorized(Problem):
    status = HTTPStatus.UNAUTHORIZED


BEARER = {"www-authenticate": "Bearer"}


def told(path: str, problem: Problem) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(send_error(send, path, problem))
    start, body = sent
    headers = {key.decode(): value.decode() for key, value in start["headers"]}
    return start["status"], headers, json.loads(body["body"])


@pytest.mark.parametrize(
    ("problem", "status", "kind", "code"),
    [
        (InvalidField("n", "too many"), 400, "invalid_request_error", None),
        (Unauthorized("who?", headers=BEARER), 401, "authentication_error", "invalid_api_key"),
        (UnsupportedMediaType("what?"), 415, "invalid_request_error", None),
        (Overloaded("full", wait_s=2), 429, "rate_limit_error", "rate_limit_exceeded"),
        (Problem("broken"), 500, "server_error", None),
        (Unready("soon"), 503, "server_error", None),
        (Expired("late"), 504, "server_error", None),
    ],
)  # fmt: skip
def test_a_problem_is_told_in_the_words_of_the_paths_protocol(
    problem: Problem, status: int, kind: str, code: str | None
) -> None:
    for path in ("/v2", "/v2/models/x/infer"):
        found, headers, body = told(path, problem)
        assert (found, body) == (status, {"error": problem.detail})
        assert headers["content-type"] == "application/json"
        assert problem.headers.items() <= headers.items()

    found, headers, body = told("/v1/images/generations", problem)
    error = {"message": problem.detail, "type": kind, "param": problem.members.get("field"), "code": code}
    assert (found, body) == (status, {"error": error})
    assert problem.headers.items() <= headers.items()

    for path in ("/v1/images", "/v2x", "/", "/v1/images/generations/x"):
        found, headers, body = told(path, problem)
        assert (found, body["detail"]) == (problem.status, problem.detail)
        assert headers["content-type"] == "application/problem+json"


class HeldEngine:
    """An engine that works only while it is let."""

    def __init__(self, engine: Engine) -> None:
        self.key, self.choice, self.best_batch = engine.key, engine.choice, engine.best_batch
        self.calls_at_once = engine.calls_at_once
        self._engine = engine
        self.gate, self.began = threading.Event(), threading.Event()

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        self.began.set()
        assert self.gate.wait(20)
        return self._engine.generate(latent, class_vector)


def test_a_full_queue_is_429_with_a_time_to_come_again_in_each_protocol(models_folder: Path) -> None:
    seed = {"name": "seed", "datatype": "UINT32", "shape": [1], "data": [0]}
    label = {"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v2/models/grey.by_label/infer", {"inputs": [seed, label]}),
        ("/v1/images/generations", {"prompt": "0"}),
    ]

    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        models = Models(settings)
        models.start()
        grey = models.find("grey")
        grey.engine = held = HeldEngine(grey.engine)
        grey.batcher = MicroBatcher(grey._generate, max_batch=2, max_queue=1)
        transport = httpx.ASGITransport(App(models, nothing_behind, frozenset(), Keys(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            accepted = [asyncio.create_task(client.post(path, json=body)) for path, body in requests[:1]]
            await asyncio.to_thread(held.began.wait, 20)
            accepted += [asyncio.create_task(client.post(path, json=body)) for path, body in requests[1:]]
            while not grey.batcher.queued:
                await asyncio.sleep(0.01)
            for path, body in requests:
                reply = await client.post(path, json=body)
                assert (reply.status_code, "error" in reply.json()) == (429, True)
                assert int(reply.headers["retry-after"]) >= 1
            held.gate.set()
            assert [reply.status_code for reply in await asyncio.gather(*accepted)] == [200, 200]
        await models.close()

    asyncio.run(scenario())
