"""FastAPI and onnxruntime without batching: what one writes first."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work


class ImageRequest(BaseModel):
    label: int = Field(ge=0)
    seed: int = Field(ge=0, le=2**32 - 1)


def create_app() -> FastAPI:
    """The application of one worker process."""
    settings = PeerSettings.from_environment()
    work, app = Work(settings), FastAPI()

    def image(request: ImageRequest) -> Response:
        (png,) = work.pngs([request.label], [request.seed])
        return Response(png, media_type="image/png")

    async def image_on_the_loop(request: ImageRequest) -> Response:
        return image(request)

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    app.post("/v1/images")(image if settings.handler == "def" else image_on_the_loop)
    return app


if __name__ == "__main__":
    told = PeerSettings.from_environment()
    uvicorn.run(
        "benchmarks.peers.fastapi_server:create_app",
        factory=True,
        port=told.port,
        workers=told.workers,
        access_log=False,
        log_level="warning",
    )
