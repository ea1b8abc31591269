"""mosec: a Rust server that batches, and Python workers that run the model."""

from __future__ import annotations

import sys

from mosec import Server, Worker

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work


class Images(Worker):
    """A batch of requests in, a PNG each out. The request is read as JSON, mosec's default."""

    resp_mime_type = "image/png"

    def __init__(self) -> None:
        self._work = Work(PeerSettings.from_environment())

    def forward(self, data: list[dict[str, int]]) -> list[bytes]:
        return self._work.pngs([item["label"] for item in data], [item["seed"] for item in data])

    def serialize(self, data: bytes) -> bytes:
        return data


if __name__ == "__main__":
    settings = PeerSettings.from_environment()
    sys.argv[1:] = ["--port", str(settings.port), "--address", "127.0.0.1", "--log-level", "warning"]
    server = Server()
    server.append_worker(
        Images,
        num=settings.workers,
        max_batch_size=settings.max_batch,
        max_wait_time=int(settings.wait_ms),
        route="/v1/images",
    )
    server.run()
