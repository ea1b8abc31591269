"""Ray Serve: an HTTP proxy, replicas that batch, and the Ray cluster of one machine that they need."""

from __future__ import annotations

import signal
import sys
import tempfile

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work

STORE_BYTES = 80 * 2**20  # the object store in /dev/shm, near the least that Ray takes: nothing is kept there
ROUTE = "/v1/images"

settings = PeerSettings.from_environment()

Item = tuple[int, int]  # label, seed


class Images:
    """A batch of requests in, a PNG each out. A GET tells when replicas are ready, as the proxy does not."""

    def __init__(self) -> None:
        self._work = Work(settings)

    async def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return Response()
        asked = await request.json()
        return Response(await self._png((asked["label"], asked["seed"])), media_type="image/png")

    @serve.batch(max_batch_size=settings.max_batch, batch_wait_timeout_s=settings.wait_ms / 1000)
    async def _png(self, items: list[Item]) -> list[bytes]:
        return self._work.pngs([label for label, _ in items], [seed for _, seed in items])


DEPLOYMENT = serve.deployment(
    num_replicas=settings.workers,
    max_ongoing_requests=256,  # of one replica: batches must never wait for the proxy
    ray_actor_options={"num_cpus": 0},  # replicas, proxy and client share all cores anyway
)


def _run() -> None:
    """Serves until this process is asked to end, and leaves neither processes nor files."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            _temp_dir=folder,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # after Ray has put its own handler there
        try:
            serve.start(
                http_options={"host": "127.0.0.1", "port": settings.port},
                logging_config={"enable_access_log": False, "log_level": "WARNING"},
            )
            serve.run(DEPLOYMENT(Images).bind(), route_prefix=ROUTE)
            while True:
                signal.pause()
        finally:
            ray.shutdown()


if __name__ == "__main__":
    _run()
