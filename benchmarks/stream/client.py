"""A client that moves at a steady pace and looks at every frame."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from dataclasses import dataclass

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.load.histogram import Histogram

HEADER = struct.Struct("<BBBBIIHHIfff")  # docs/stream.md
WINDOW = 4


@dataclass(frozen=True)
class Seen:
    """What came of a pace. Delays are from when a movement was due, not from when it was sent."""

    asked: int
    frames: int
    seconds: float  # of moving
    superseded: int
    delays_ms: Histogram
    lags_ms: Histogram  # of the client itself: from when a movement was due to when it was sent
    last: bytes  # the image of the last movement

    @property
    def frames_per_s(self) -> float:
        return self.frames / self.seconds


class Unseen(RuntimeError):
    """A stream that ended, told a problem, or did not show the last movement."""


async def follow(url: str, model: str, form: str, per_s: int, seconds: float) -> Seen:
    """Moves to another seed `per_s` times a second: seeds 1, 2, ... of class 0. Raises Unseen, OSError."""
    try:
        return await _follow(url, model, form, per_s, seconds)
    except ConnectionClosed as error:
        raise Unseen(f"the stream ended before its time: {error}") from error


async def _follow(url: str, model: str, form: str, per_s: int, seconds: float) -> Seen:
    count = int(per_s * seconds)
    async with connect(url, compression=None, max_size=None) as socket:
        first = {"model": model, "label": 0, "seed": 0, "format": form, "window": WINDOW}
        await socket.send(json.dumps(first))
        await _frame(socket)
        await socket.send('{"seen": 0}')
        began = time.perf_counter() + 0.05
        reader = asyncio.create_task(_look(socket, count, began, per_s))
        lags = []
        for step in range(1, count + 1):
            due = began + step / per_s
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            await socket.send(f'{{"seq": {step}, "seed": {step}}}')
            lags.append(time.perf_counter() - due)
        try:
            frames, superseded, delays, last = await asyncio.wait_for(reader, 5)
        except TimeoutError:
            raise Unseen("the frame of the last movement did not come within 5 s") from None
    delays_ms, lags_ms = (Histogram.of(1000 * np.array(times)) for times in (delays, lags))
    return Seen(count, frames, seconds, superseded, delays_ms, lags_ms, last)


async def _look(
    socket: ClientConnection, count: int, began: float, per_s: int
) -> tuple[int, int, list[float], bytes]:
    """Frames, and movements given up, until that of the last movement is there."""
    superseded, delays, seq, content = 0, [], 0, b""
    while seq < count:
        message = await _frame(socket)
        _, _, _, _, seq, skipped, *_ = HEADER.unpack_from(message)
        delays.append(time.perf_counter() - (began + seq / per_s))
        content = message[HEADER.size :]
        superseded += skipped
        await socket.send(f'{{"seen": {seq}}}')
    return len(delays), superseded, delays, content


async def _frame(socket: ClientConnection) -> bytes:
    while True:
        message = await socket.recv()
        if isinstance(message, bytes):
            return message
        if "problem" in json.loads(message):
            raise Unseen(f"the service told a problem: {message}")
