"""A server that does nothing: the least that any service on uvicorn costs, to measure the client with.

python -m benchmarks.load.noop --port 3412 [--pause-ms 200 --pause-every-ms 2000]

With a pause the whole server stands still for so long, again and again: what a full garbage collection or a
log file on a slow disk does to a service.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

import uvicorn
import uvloop

BODY = b"ok"
HEADERS = [(b"content-length", str(len(BODY)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers every request with 200 and two bytes; its body is not looked at."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def serve(port: int, pause_s: float, pause_every_s: float) -> None:
    """Until it is told to end."""
    config = uvicorn.Config(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    if pause_s:
        _pause_later(asyncio.get_running_loop(), pause_s, pause_every_s)
    await uvicorn.Server(config).serve()


def _pause_later(loop: asyncio.AbstractEventLoop, pause_s: float, every_s: float) -> None:
    def pause() -> None:
        time.sleep(pause_s)
        loop.call_later(every_s, pause)

    loop.call_later(every_s, pause)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.load.noop", description="A server that does nothing."
    )
    parser.add_argument("--port", type=int, required=True, help="of 127.0.0.1")
    parser.add_argument("--pause-ms", type=float, default=0, help="it stands still for so long")
    parser.add_argument("--pause-every-ms", type=float, default=2000, help="(default: %(default)g)")
    options = parser.parse_args(arguments)
    uvloop.run(serve(options.port, options.pause_ms / 1000, options.pause_every_ms / 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
