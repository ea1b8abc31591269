"""Laws of the short way: what it answers is what the general way would have answered."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from service.connection import BoundedConnection
from service.direct import MAX_HEADS, Direct
from service.http import Receive, Scope, Send
from service.models import Models
from service.settings import Settings
from tests.service.raw_client import Connection, connected
from tests.service.test_server import serving

GENERAL = "x-general: yes\r\n"  # a header that sends a request the general way


def post(request: dict[str, Any] | str, extra: str = "") -> bytes:
    body = request if isinstance(request, str) else json.dumps(request)
    head = f"POST /v1/images HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture(scope="module")
def url(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("home"), models=models_folder) as (url, _):
        yield url


def in_one_connection(url: str, scenario: Any) -> None:
    async def main() -> None:
        async with connected(url) as connection:
            await asyncio.wait_for(scenario(connection), 30)

    asyncio.run(main())


def test_a_head_within_a_head_is_not_remembered(url: str) -> None:
    async def scenario(connection: Connection) -> None:
        inner = b'POST /v1/images HTTP/1.1\r\nhost: x\r\n\r\n{"label":    0}'
        await connection.send(b"POST /v1/images HTTP/1.1\r\ncontent-length: 15\r\nuser-agent: ")
        await asyncio.sleep(0.05)
        await connection.send(inner)
        assert (await connection.reply()).status == 200
        await connection.send(inner)  # no content-length: there is no body, and what follows is no request
        assert (await connection.reply()).status == 400

    in_one_connection(url, scenario)


REQUESTS: list[dict[str, Any] | str] = [
    {"label": 0, "seed": 7},
    {"label": "Bag", "seed": 7, "scale": 3, "truncation": 0.5},
    {"label": "cat", "seed": 4, "model": "rgb"},
    {"mix": {"Bag": 1, "Ankle boot": 3}, "seed": 1},
    {"label": 1, "latent": [0.1, 0.2, 0.3, 0.4, 0.5]},
    {"label": 0, "seed": 7, "n": 3},
    {"label": 0, "seed": 7, "format": "json"},
    {"label": 99},
    {"label": 0, "sed": 7},
    "{",
    "[]",
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_both_ways_give_the_same_reply(url: str, request_: dict[str, Any] | str) -> None:
    async def scenario(connection: Connection) -> None:
        replies = []
        for extra in ("", "", GENERAL):  # the second time the head is known
            await connection.send(post(request_, extra))
            replies.append(await connection.reply())
        general = replies.pop()
        for reply in replies:
            assert reply.status == general.status
            assert reply.body == general.body
            assert set(reply.headers) == set(general.headers)
            assert reply.headers["content-type"] == general.headers["content-type"]

    in_one_connection(url, scenario)


def test_requests_in_one_piece_are_answered_in_their_order(url: str) -> None:
    async def scenario(connection: Connection) -> None:
        seeds = list(range(20))
        ways = ["" if seed % 3 else GENERAL for seed in seeds]
        pieces = [post({"label": 0, "seed": seed}, way) for seed, way in zip(seeds, ways, strict=True)]
        await connection.send(b"".join(pieces))
        assert [int((await connection.reply()).headers["x-seed"]) for _ in seeds] == seeds
        for piece in pieces:
            await connection.send(piece)
        assert [int((await connection.reply()).headers["x-seed"]) for _ in seeds] == seeds

    in_one_connection(url, scenario)


def test_a_request_may_come_in_any_pieces(url: str) -> None:
    async def scenario(connection: Connection) -> None:
        whole = post({"label": 0, "seed": 5})
        await connection.send(whole)
        expected = (await connection.reply()).body
        for cut in range(1, len(whole), 7):
            await connection.send(whole[:cut])
            await asyncio.sleep(0.005)
            await connection.send(whole[cut:] + whole[:3])
            assert (await connection.reply()).body == expected
            await connection.send(whole[3:])
            assert (await connection.reply()).body == expected

    in_one_connection(url, scenario)


def test_only_a_head_followed_by_exactly_its_body_is_known(models_folder: Path) -> None:
    direct = Direct(Models(Settings(models=models_folder)), None)
    body = b'{"label":0}'
    data = post(body.decode())
    assert direct.body_of(data) is None
    direct.remember(data, body)
    assert direct.body_of(data) == body
    for other in (data[:-1], data + b"x", b"x" + data, data.replace(b": a", b": b"), b"", b"\r\n\r\n"):
        assert direct.body_of(other) is None
    long = post(body.decode(), f"user-agent: {'x' * 2000}\r\n")
    direct.remember(long, body)
    assert direct.body_of(long) is None
    for number in range(2 * MAX_HEADS):
        direct.remember(post(body.decode(), f"user-agent: {number}\r\n"), body)
    assert len(direct._heads) == MAX_HEADS


@pytest.mark.parametrize(
    "change",
    [
        (b"POST", b"PUT"),
        (b"/v1/images", b"/v1/images?x=1"),
        (b"application/json", b"text/plain"),
        (b"host: a", b"accept: image/webp"),
        (b"host: a", b"authorization: Bearer x"),
        (b"host: a", b"transfer-encoding: chunked"),
        (b"host: a", b"expect: 100-continue"),
    ],
    ids=str,
)
def test_a_head_with_anything_else_in_it_is_not_simple(
    models_folder: Path, change: tuple[bytes, bytes]
) -> None:
    direct = Direct(Models(Settings(models=models_folder)), None)

    def is_simple(data: bytes) -> bool:
        first, *lines = data.split(b"\r\n\r\n")[0].split(b"\r\n")
        method, url, _ = first.split(b" ")
        pairs = [line.split(b": ") for line in lines]
        return direct.is_simple(method, url, [(name.lower(), value) for name, value in pairs])

    assert is_simple(post({"label": 0}))
    assert not is_simple(post(" " * 5000))
    assert not is_simple(post({"label": 0}).replace(*change, 1))


async def no_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a simple request went the general way")


def test_a_client_that_resets_its_connection_leaves_nothing_behind(models_folder: Path) -> None:
    """No timer keeps what the connection had."""
    models = Models(Settings(models=models_folder))
    models.start()

    class Simple(BoundedConnection):
        direct = Direct(models, None)

    async def main() -> None:
        config = uvicorn.Config(no_app, log_config=None, lifespan="off")
        config.load()
        connections: list[weakref.ref[Simple]] = []

        def make() -> Simple:
            connection = Simple(config, state, {})
            connections.append(weakref.ref(connection))
            return connection

        state = ServerState()
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        async with server, connected(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            for _ in range(3):
                assert (await client.ask(post({"label": 0, "seed": 1}))).status == 200
            client.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.writer.write(post({"label": 0, "seed": 2, "timeout_ms": 500}))
            client.writer.transport.abort()
            while state.connections or connections[0]() is not None:
                await asyncio.sleep(0.01)
                gc.collect()
        await models.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 20))
