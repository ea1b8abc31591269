"""BentoML as it comes: a synchronous method that returns an image, through all of its middleware."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work

settings = PeerSettings.from_environment()


@bentoml.service(workers=settings.workers, threads=settings.pool)
class Images:
    """One image a request."""

    def __init__(self) -> None:
        self._work = Work(settings)

    @bentoml.api(route="/v1/images")
    def image(self, label: int, seed: int) -> Annotated[bytes, ContentType("image/png")]:
        (png,) = self._work.pngs([label], [seed])
        return png


if __name__ == "__main__":
    place = ["--host", "127.0.0.1", "--port", str(settings.port), "--timeout-graceful-shutdown", "5"]
    command = ["-m", "bentoml", "serve", "benchmarks.peers.bentoml_server:Images", *place]
    os.execv(sys.executable, [sys.executable, *command])
