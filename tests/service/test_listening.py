"""Laws of accepting connections: shared out, some in each turn of the event loop, none lost."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service import listening
from service.listening import Listener


class Accepted(asyncio.Protocol):
    """Counts itself among the connections."""

    def __init__(self, connections: list[asyncio.BaseTransport]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.append(transport)


@contextmanager
def clients(count: int) -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A listening socket, and clients whose connections wait in it."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
        yield (
            server,
            [stack.enter_context(socket.create_connection(server.getsockname())) for _ in range(count)],
        )


def listen(
    server: socket.socket,
    scenario: Callable[[Listener, list[asyncio.BaseTransport]], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        connections: list[asyncio.BaseTransport] = []
        listener = Listener(server, lambda: Accepted(connections), never, lambda begun: None)
        try:
            async with asyncio.timeout(10):  # and no turn of the loop before it begins
                await scenario(listener, connections)
        finally:
            listener.close()
            for connection in connections:
                connection.close()

    uvloop.run(main())


def never(begun: int) -> bool:
    return False


def test_who_has_more_leaves_connections_to_others_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "YIELD_S", 0.05)

    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        listener.close()
        fewer: list[asyncio.BaseTransport] = []
        with server.dup() as shared, server.dup() as also_shared:
            told: list[int] = []
            fuller = Listener(shared, lambda: Accepted(connections), lambda begun: True, told.append)
            other = Listener(
                also_shared,
                lambda: Accepted(fewer),
                lambda begun: len(fewer) + begun >= 5,
                lambda begun: None,
            )
            await asyncio.sleep(0.02)
            assert (len(fewer), len(connections)) == (5, 0)
            other.close()
            while not connections:
                await asyncio.sleep(0.001)
            assert told == [1]
            fuller.close()
        for connection in fewer:
            connection.close()

    with clients(6) as (server, _):
        listen(server, scenario)


def test_others_are_told_of_every_connection_that_is_taken() -> None:
    """Or those who know of too few leave all that wait to one another, a moment for each."""
    told: list[int] = []

    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        listener.close()
        with server.dup() as shared:
            hesitant = Listener(
                shared,
                lambda: Accepted(connections),
                lambda begun: len(connections) + begun > 2,
                lambda begun: told.append(len(connections) + begun),
            )
            while len(connections) < 5:
                await asyncio.sleep(0.001)
            hesitant.close()

    with clients(5) as (server, _):
        listen(server, scenario)
    assert told == [1, 2, 3, 4, 5]


def test_a_burst_does_not_keep_the_event_loop_from_its_work() -> None:
    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        turns = 0
        while len(connections) < 3 * listening.AT_ONCE:
            assert len(connections) <= turns * listening.AT_ONCE
            await asyncio.sleep(0)
            turns += 1

    with clients(3 * listening.AT_ONCE) as (server, _):
        listen(server, scenario)


def test_a_closed_listener_takes_nothing() -> None:
    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        listener.close()
        await asyncio.sleep(0.02)
        assert not connections

    with clients(3) as (server, _):
        listen(server, scenario)


def test_a_unix_socket_is_listened_to_as_well(tmp_path: Path) -> None:
    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        while not connections:
            await asyncio.sleep(0.001)

    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        listen(server, scenario)


def test_connections_wait_while_no_file_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "PAUSE_S", 0.02)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario(listener: Listener, connections: list[asyncio.BaseTransport]) -> None:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        handles: list[int] = []
        with suppress(OSError):
            while True:
                handles.append(os.dup(server.fileno()))
        try:
            await asyncio.sleep(0.1)
            assert not connections
            assert "no connection can be accepted" in caplog.text
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for handle in handles:
                os.close(handle)
        while len(connections) < 2:
            await asyncio.sleep(0.001)

    with clients(2) as (server, _), caplog.at_level(logging.ERROR, "mintage"):
        listen(server, scenario)
