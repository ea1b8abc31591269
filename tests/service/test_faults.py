"""Engines that fail, over real server processes: who is told what, and who goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import psutil
import pytest

from tests.service.faulty_models import FAULT, FINE, write_faulty
from tests.service.raw_client import Broken, Reply, connected, post
from tests.service.stream_client import streaming
from tests.service.test_server import ROOT, START_TIMEOUT_S, environment, free_port, serving

DEADLINE_S = 40  # generous: the processes of a server are looked at every 10 s


class Server(NamedTuple):
    url: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers with three generators, each with a fault of its own."""
    home, models = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("faulty")
    for fault in ("raises", "wrong_shape", "hangs"):
        write_faulty(models, fault)
    with serving(home, models=models, workers=2, threads=1, engine_timeout_s=1) as (url, process):
        yield Server(url, process, home / "server.log")


def request(model: str, latent: list[float]) -> bytes:
    return post({"model": model, "label": 0, "latent": latent, "format": "npy"})


async def at_once(url: str, requests: list[bytes]) -> list[Reply]:
    """The replies to requests that are sent at one moment, each on a connection of its own."""
    ready = asyncio.Barrier(len(requests))

    async def one(content: bytes) -> Reply:
        async with connected(url) as connection:
            await ready.wait()
            return await connection.ask(content)

    return await asyncio.gather(*(one(content) for content in requests))


def pixels(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return np.frombuffer(reply.body[-64:], np.uint8)


def problem(reply: Reply) -> dict[str, Any]:
    assert reply.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = reply.json
    assert content["status"] == reply.status
    return content


@pytest.mark.parametrize(
    ("model", "told"), [("raises", "onnxruntime failed on a batch"), ("wrong_shape", "the engine made uint8")]
)
def test_a_request_that_the_engine_fails_on_fails_alone_and_the_log_says_how(
    server: Server, model: str, told: str
) -> None:
    """Its neighbours in the batch get their own images, never those of another."""
    largest = 0
    for _ in range(5):
        kinds = [n % 5 == 0 for n in range(60)]
        requests = [request(model, FAULT if bad else [0.0, n]) for n, bad in enumerate(kinds)]
        for n, reply in enumerate(asyncio.run(at_once(server.url, requests))):
            if kinds[n]:
                assert reply.status == 500
                assert "its log says how" in problem(reply)["detail"]
            else:
                assert set(pixels(reply).tolist()) == {n}
                largest = max(largest, int(reply.headers["x-batch-size"]))
    assert largest > 1
    assert told in server.log.read_text()


def test_a_stream_tells_of_a_failed_frame_and_goes_on(server: Server) -> None:
    with streaming(server.url) as client:
        first = client.ask(model="raises", label=0, latent=FINE, format="raw")
        failed = client.problem(seq=5, latent=FAULT)
        assert (failed["seq"], failed["problem"]["status"]) == (5, 500)
        assert client.ask(latent=FINE).content == first.content


def test_a_worker_whose_engine_hangs_ends_and_is_replaced_while_the_others_answer(server: Server) -> None:
    """Only its own connections break; /readyz tells of it until the new one is warm."""

    def readiness() -> httpx.Response:
        return httpx.get(f"{server.url}/readyz", timeout=10)

    async def provoke() -> None:
        async with connected(server.url) as connection:
            with pytest.raises(Broken) as broken:
                await connection.ask(request("hangs", FAULT))
            assert broken.value.received == b""

    before = {worker["pid"] for worker in readiness().json()["workers"]}
    asyncio.run(provoke())
    statuses, began = [readiness().status_code], time.monotonic()
    while statuses[-1] != 200:
        assert time.monotonic() - began < DEADLINE_S
        for reply in asyncio.run(at_once(server.url, [request("hangs", FINE)] * 4)):
            assert set(pixels(reply).tolist()) == {7}
        time.sleep(0.1)
        statuses.append(readiness().status_code)
    after = {worker["pid"] for worker in readiness().json()["workers"]}
    assert set(statuses) == {503, 200}
    assert len(before & after) == 1
    assert len(before | after) == 3
    assert "an engine call hangs for 1 s; this worker ends" in server.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_generator_that_fails_in_warm_up_ends_the_start_with_the_reason(
    tmp_path: Path, workers: int
) -> None:
    write_faulty(tmp_path / "models", "fails_in_batches")
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "--port", str(free_port())],
            cwd=ROOT,
            env=environment(tmp_path, models=tmp_path / "models", workers=workers),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        status = process.wait(START_TIMEOUT_S)
    assert status == 1
    told = (tmp_path / "output").read_text()
    assert "mintage cannot start: onnxruntime failed on a batch of 2" in told
    assert not [left for left in psutil.pids() if group_of(left) == process.pid]


def group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
