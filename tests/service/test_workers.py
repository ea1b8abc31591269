"""Workers that are killed or told to end while they work: every request is answered or seen to break."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from generator import Generator
from tests.service.raw_client import Broken, Reply, connected, get, post
from tests.service.test_server import serving

DEADLINE_S = 40  # generous: the processes of a server are looked at every 10 s
CLIENTS = 16
SEEDS, COUNTS = range(40), (1, 3, 40)


@dataclass
class Load:
    """Clients that ask, check what they get, and note whose connection broke."""

    url: str
    expected: dict[bytes, bytes]  # request -> pixels
    settled: bool = True  # clients keep their connections; otherwise they come anew now and then
    ended: bool = False
    answered: int = 0
    refused: int = 0  # 503, as a server that ends may say
    broken: list[tuple[int, bytes]] = field(default_factory=list)  # port, what had come of the reply
    no_connection: int = 0
    ports: set[int] = field(default_factory=set)  # of connections that are open

    async def run(self) -> None:
        await asyncio.gather(*(self._client(n) for n in range(CLIENTS)))

    async def _client(self, number: int) -> None:
        requests = list(self.expected)[number:] + list(self.expected)[:number]
        while not self.ended:
            try:
                async with connected(self.url) as connection:
                    self.ports.add(connection.port)
                    try:
                        for place in itertools.count():
                            request = requests[place % len(requests)]
                            self._check(request, await connection.ask(request))
                            if self.ended or (not self.settled and place > 20):
                                break
                    except Broken as broken:
                        self.broken.append((connection.port, broken.received))
                    self.ports.discard(connection.port)
            except ConnectionError:
                self.no_connection += 1
                await asyncio.sleep(0.05)

    def _check(self, request: bytes, reply: Reply) -> None:
        if reply.status == 503:
            assert reply.headers["content-type"] == "application/problem+json"
            self.refused += 1
            return
        assert reply.status == 200, reply.body
        pixels = np.load(io.BytesIO(reply.body), allow_pickle=False)
        assert pixels.tobytes() == self.expected[request]
        self.answered += 1


@pytest.fixture(scope="module")
def expected(grey: Path) -> dict[bytes, bytes]:
    made = Generator.open(grey, threads=1)
    return {
        post({"model": "grey", "label": seed % 3, "seed": seed, "n": count, "format": "npy"}): made.images(
            [seed % 3] * count, range(seed, seed + count)
        ).tobytes()
        for seed in SEEDS
        for count in COUNTS
    }


@pytest.fixture
def server(models_folder: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with serving(
        tmp_path, models=models_folder, workers=2, threads=1, max_queue=10**6, body_timeout_s=2
    ) as running:
        yield running


async def ask(url: str, path: str) -> Reply:
    async with connected(url) as connection:
        return await connection.ask(get(path))


def counters(reply: Reply) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def peers(pid: int) -> set[int]:
    """The ports of a worker's clients."""
    return {
        connection.raddr.port
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED
    }


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_killed_worker_breaks_its_own_connections_only_and_is_replaced(
    server: tuple[str, subprocess.Popen[bytes]], expected: dict[bytes, bytes]
) -> None:
    url, _ = server
    load = Load(url, expected)

    async def wait_for_both_workers() -> tuple[int, set[int]]:
        """The worker to be killed and the ports that it serves, once each worker has some of the clients."""
        load.settled = False
        while True:
            pids = [worker["pid"] for worker in (await ask(url, "/readyz")).json["workers"]]
            served = {pid: peers(pid) & load.ports for pid in pids}
            if len(set.union(*served.values())) == CLIENTS and all(served.values()):
                load.settled = True
                return pids[0], served[pids[0]]
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        clients = asyncio.create_task(load.run())
        try:
            victim, its_ports = await asyncio.wait_for(wait_for_both_workers(), DEADLINE_S)
            before = counters(await ask(url, "/metrics"))
            os.kill(victim, signal.SIGKILL)
            while is_running(victim):
                await asyncio.sleep(0.01)
            statuses, began = [(await ask(url, "/readyz")).status], time.monotonic()
            assert statuses == [503]
            answered = load.answered
            while statuses[-1] != 200:
                assert time.monotonic() - began < DEADLINE_S
                await asyncio.sleep(0.1)
                statuses.append((await ask(url, "/readyz")).status)
                now = counters(await ask(url, "/metrics"))
                assert all(now.get(key, 0) >= value for key, value in before.items())
                before = now
            assert set(statuses) == {503, 200}
            assert load.answered > answered
            workers = {worker["pid"] for worker in (await ask(url, "/readyz")).json["workers"]}
            assert len(workers) == 2
            assert victim not in workers
            assert {port for port, _ in load.broken} == its_ports
            assert load.refused == load.no_connection == 0
        finally:
            load.ended = True
            await clients

    asyncio.run(scenario())


def test_a_server_told_to_end_under_load_answers_what_it_took_or_says_nothing(
    server: tuple[str, subprocess.Popen[bytes]], expected: dict[bytes, bytes]
) -> None:
    """Half a reply is never sent. Requests whose second half never comes do not hold up the end."""
    url, process = server
    load = Load(url, expected)

    async def scenario() -> None:
        clients = asyncio.create_task(load.run())
        async with connected(url) as idle, connected(url) as half_head, connected(url) as half_body:
            await idle.ask(get("/livez"))
            await half_head.send(b"POST /v1/images HTT")
            await half_body.send(post({"label": 0, "seed": 1})[:-5])
            await asyncio.sleep(1)
            assert load.answered
            process.send_signal(signal.SIGTERM)
            try:
                assert await asyncio.to_thread(process.wait, 25) == 0
            finally:
                load.ended = True
                await clients
            with suppress(Broken):
                assert (await half_body.reply()).status == 408
        assert {received for _, received in load.broken} <= {b""}

    asyncio.run(scenario())
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/livez")
