"""A client on the stream of a real server, for a second."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.answers import WrongAnswer
from benchmarks.machine import manifest
from benchmarks.mintage import mintage
from benchmarks.repeats import Spread
from benchmarks.report import tables_of
from benchmarks.servers import running
from benchmarks.stream.client import HEADER, Unseen, follow
from benchmarks.stream.command import PACES, Pace, _check, _figures
from benchmarks.tables import figure
from generator import Generator


def test_every_movement_is_seen_or_given_up_for_a_newer_one(grey: Path, tmp_path: Path) -> None:
    generator = Generator.open(grey)
    with running(mintage(grey, tmp_path / "home"), tmp_path / "server.log") as process:
        url = f"ws://127.0.0.1:{process.port}/v1/stream"
        seen = asyncio.run(follow(url, "grey", "raw", per_s=400, seconds=1))
        with pytest.raises(Unseen, match="model 'none' is not served"):
            asyncio.run(follow(url, "none", "raw", per_s=10, seconds=1))
    assert seen.asked == 400
    assert seen.frames + seen.superseded == 400
    assert seen.delays_ms.count == seen.frames
    assert seen.lags_ms.count == seen.asked
    assert seen.delays_ms.at_rank(1) > 0
    np.testing.assert_array_equal(np.frombuffer(seen.last, np.uint8), generator.images([0], [400])[0].ravel())
    _check(seen, Pace("as above", 400, "raw"), generator)
    with pytest.raises(WrongAnswer, match="pixels are wrong"):
        _check(replace(seen, last=bytes(len(seen.last))), Pace("black", 400, "raw"), generator)

    about = manifest(generator.artifact, repeats=1, seconds=1, workers=None)
    paces = [{"name": pace.name, "seen": [_figures(seen)]} for pace in PACES]
    kind, (table,) = tables_of({"manifest": about, "paces": paces})
    assert kind == "stream"
    assert [row[1] for row in table.rows] == [figure(Spread.of([seen.frames_per_s]))] * len(PACES)
    assert {row[5] for row in table.rows} == {"-"}  # 400 movements are too few for a p99


def test_a_stream_that_the_server_ends_is_told() -> None:
    async def hang_up(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(bytes(HEADER.size))
        await socket.recv()

    async def follow_it() -> None:
        async with serve(hang_up, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await follow(f"ws://127.0.0.1:{port}", "grey", "raw", per_s=100, seconds=1)

    with pytest.raises(Unseen, match="ended before its time"):
        asyncio.run(follow_it())
