"""Images that follow a hand over a WebSocket, and never lag, though the hand is faster than they are made."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import os
import time
from pathlib import Path

from PIL import Image
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

STEPS, STEP_S = 400, 0.002  # a hand that tells where it is 500 times a second
HEADER_BYTES = 32  # before each frame's image: docs/stream.md


async def move(stream: ClientConnection) -> None:
    """Sends a circle over the model's first two directions, whatever has been answered."""
    await stream.send(json.dumps({"label": 0, "seed": 7, "scale": 4, "window": 4}))
    for step in range(1, STEPS + 1):
        angle = 2 * math.pi * step / STEPS
        place = {"0": 5 * math.cos(angle), "1": 5 * math.sin(angle)}
        await stream.send(json.dumps({"seq": step, "directions": place}))
        await asyncio.sleep(STEP_S)


async def look(stream: ClientConnection) -> list[Image.Image]:
    """Takes frames until the last place has been shown; the server skips those that were overtaken."""
    frames: list[Image.Image] = []
    async for message in stream:
        if isinstance(message, str):  # which version of which model; or what is wrong
            if "problem" in (told := json.loads(message)):
                raise SystemExit(told["problem"]["detail"])
            continue
        seq = int.from_bytes(message[4:8], "little")
        await stream.send(json.dumps({"seen": seq}))
        frames.append(Image.open(io.BytesIO(message[HEADER_BYTES:])))
        if seq == STEPS:
            break
    return frames


async def follow(url: str, file: Path) -> None:
    """Writes what was seen into `file`, a GIF."""
    key = {"X-API-Key": os.environ.get("EXAMPLES_KEY", "")}
    address = url.replace("http", "ws", 1) + "/v1/stream"
    async with connect(address, compression=None, additional_headers=key) as stream:
        began = time.perf_counter()
        _, frames = await asyncio.gather(move(stream), look(stream))
        seconds = time.perf_counter() - began
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=20, loop=0)
    print(f"{file}: {STEPS} places, {len(frames)} frames, {len(frames) / seconds:.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("EXAMPLES_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    try:
        asyncio.run(follow(options.url, options.out / "stream.gif"))
    except (OSError, WebSocketException) as error:
        raise SystemExit(
            f"no stream from {options.url} ({error}): "
            "start a server with make serve, or name another with --url http://HOST:PORT"
        ) from None


if __name__ == "__main__":
    main()
