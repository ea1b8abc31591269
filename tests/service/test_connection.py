"""Laws of the connection, on a real socket with an application of its own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from service.connection import BoundedConnection
from service.http import ASGIApp, Receive, Scope, Send, send_reply
from service.stream_connection import use_stream_connections
from tests.service.raw_client import Broken, Connection, connected, get

LARGE = 32 * 2**20


class Impatient(BoundedConnection):
    stalled_s = head_s = 0.3
    keep_alive_s = 1


async def large_reply(scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, "text/plain", b"x" * LARGE)


async def late_reply(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(1)
    await send_reply(send, 200, "text/plain", b"late")


def on_a_connection(
    scenario: Callable[[Connection, ServerState], Awaitable[None]],
    app: ASGIApp = large_reply,
    kind: type[BoundedConnection] = Impatient,
) -> None:
    async def main() -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, connected(url) as connection:
            await asyncio.wait_for(scenario(connection, state), 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as in the service
        runner.run(main())


def test_a_client_that_does_not_read_its_reply_is_hung_up_on() -> None:
    async def scenario(connection: Connection, state: ServerState) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(get("/"))
        while not state.connections:
            await asyncio.sleep(0.01)
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises(Broken):
            await connection.reply()

    on_a_connection(scenario)


def test_a_client_that_reads_slowly_gets_its_whole_reply() -> None:
    async def scenario(connection: Connection, state: ServerState) -> None:
        async def now_and_then() -> None:
            transport: Any = connection.writer.transport
            for _ in range(8):
                transport.pause_reading()
                await asyncio.sleep(0.15)
                transport.resume_reading()
                await asyncio.sleep(0.005)

        await connection.send(get("/"))
        slowed = asyncio.create_task(now_and_then())
        reply = await connection.reply()
        assert len(reply.body) == LARGE
        await slowed

    on_a_connection(scenario)


def test_a_client_whose_head_is_late_is_hung_up_on() -> None:
    async def scenario(connection: Connection, state: ServerState) -> None:
        await connection.send(b"GET / HTTP/1.1\r\nhost")
        with pytest.raises(Broken) as broken:
            await connection.reply()
        assert broken.value.received == b""

    on_a_connection(scenario)


def test_a_reply_that_takes_long_does_not_make_the_next_head_late() -> None:
    async def scenario(connection: Connection, state: ServerState) -> None:
        whole = get("/")
        await connection.send(whole + whole[:10])
        assert (await connection.reply()).body == b"late"
        await connection.send(whole[10:])
        assert (await connection.reply()).body == b"late"

    on_a_connection(scenario, late_reply)


async def short_reply(scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, "text/plain", b"short")


@pytest.mark.parametrize("requests", [0, 1])
def test_a_client_that_asks_nothing_or_nothing_more_is_hung_up_on(requests: int) -> None:
    async def scenario(connection: Connection, state: ServerState) -> None:
        for _ in range(requests):
            assert (await connection.ask(get("/"))).body == b"short"
        with pytest.raises(Broken) as broken:
            await connection.reply()
        assert broken.value.received == b""
        assert not state.connections

    on_a_connection(scenario, short_reply)


@pytest.mark.parametrize("requests", [0, 1])
def test_a_request_that_comes_while_the_server_is_busy_and_its_time_ends_is_answered(requests: int) -> None:
    busy: list[Callable[[], None]] = []

    class Busy(Impatient):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            while busy:
                busy.pop()()

    async def scenario(connection: Connection, state: ServerState) -> None:
        client = connection.writer.get_extra_info("socket").fileno()
        host, port = connection.writer.get_extra_info("peername")
        async with connected(f"http://{host}:{port}") as other:
            for _ in range(requests):
                assert (await connection.ask(get("/"))).body == b"short"
            await asyncio.sleep(0.9)

            def ask_and_be_busy() -> None:
                os.write(client, get("/"))
                time.sleep(0.2)

            busy.append(ask_and_be_busy)
            assert (await other.ask(get("/"))).body == b"short"
            assert (await connection.reply()).body == b"short"

    on_a_connection(scenario, short_reply, Busy)


async def open_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def test_a_websocket_outlives_the_time_for_a_head_and_is_gone_when_its_client_is() -> None:
    use_stream_connections()

    async def scenario(connection: Connection, state: ServerState) -> None:
        upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        key = "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        head = b"GET / HTTP/1.1\r\nhost: x\r\n" + (upgrade + key).encode()
        assert (await connection.ask(head)).status == 101
        await asyncio.sleep(3 * Impatient.head_s)
        ping, pong = b"\x89\x80\0\0\0\0", b"\x8a\0"
        await connection.send(ping)
        assert await connection.read(len(pong)) == pong
        assert len(state.connections) == 1
        connection.writer.close()
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)

    on_a_connection(scenario, open_websocket)
