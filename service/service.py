"""The BentoML service: settings, start-up, warm-up, and the application in front of BentoML's own."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import bentoml
import msgspec
from bentoml import server_context
from bentoml.exceptions import InvalidArgument, ServiceUnavailable
from bentoml.validators import ContentType
from PIL import Image
from pydantic import Field

from generator.artifact import ArtifactError
from generator.engines import EngineError, check_engine
from generator.latents import MAX_SEED, MAX_TRUNCATION
from generator.paths import MAX_KEYFRAMES, Easing
from generator.pixels import Pixels, contact_sheet, enlarge, to_pillow
from generator.turning import Method
from service.access_log import AccessLog
from service.app import App
from service.board import Board
from service.connection import use_connections
from service.direct import Direct
from service.errors import Problem
from service.films import MAX_GIF_FPS
from service.http import ASGIApp
from service.keys import Keys, UnusableKeys
from service.latent_requests import InterpolationRequest, parse_request
from service.listening import use_even_server
from service.metrics import Metrics
from service.middleware import in_front
from service.models import Models, find_artifacts
from service.reloading import Reloader
from service.requests import MAX_SCALE, images_request, work_item
from service.routes import ROUTES
from service.routes.images import check_pixels
from service.routes.interpolations import made_at_once
from service.settings import load_settings
from service.stream_connection import use_stream_connections
from service.watchdog import end_when_a_worker_cannot_start, end_when_an_engine_hangs

logging.getLogger("mintage").setLevel(logging.INFO)
settings = load_settings()
try:
    keys = Keys(settings)
    access_log = AccessLog(settings.access_log) if settings.access_log else None
except (UnusableKeys, OSError) as error:
    raise SystemExit(f"mintage cannot start: {error}") from None
models = Models(settings)

BENTOML_PATHS = {"/schema.json", "/docs.json"}  # what bentoml.SyncHTTPClient and other tools of BentoML read


class DirectService(bentoml.Service):  # type: ignore[misc]
    """A BentoML service whose own routes are answered before BentoML's middleware.

    That middleware costs several times what generating an image does. BentoML still runs the process:
    start-up, life cycle, the `@bentoml.api` methods, everything that is not ours.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        # Without a handler uvicorn spares itself a line for each request, which nobody would see.
        logging.getLogger("uvicorn.access").handlers = []
        logging.getLogger("uvicorn.access").propagate = False
        # What keys, other pages' leave and traces add to a request is added by the general way.
        plain = not (keys or settings.cors_origins or settings.tracing)
        use_connections(Direct(models, access_log) if plain else None, settings.keep_alive_s)
        use_stream_connections()
        use_even_server(lambda: models.board)
        methods = frozenset(method.route for method in self.apis.values())
        paths = (methods | BENTOML_PATHS) - ROUTES.keys()
        return in_front(App(models, super().to_asgi(is_main), paths, keys, access_log), settings)


@bentoml.service(
    name="mintage",
    service_class=DirectService,
    workers=settings.workers,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [".*"]},
    traffic={"timeout": settings.timeout_ms / 1000 + 5},
)
class Mintage:
    """Images of a class on demand, from compact conditional GANs."""

    @bentoml.on_deployment
    @staticmethod
    def check() -> None:
        """In the first process, before workers are started: are the artifacts whole, the keys usable?"""
        try:
            names = tuple(find_artifacts(settings))
            check_engine(settings.engine)
        except (ArtifactError, EngineError) as error:
            raise SystemExit(f"mintage cannot start: {error}") from error
        board = Board.create(names, settings.workers, Metrics(tuple(ROUTES), names).columns)
        end_when_a_worker_cannot_start(board)

    @bentoml.on_startup
    async def start(self) -> None:
        board = Board.join((server_context.worker_index or 1) - 1)

        def tell_failed() -> None:
            if board is not None and not models.ready:
                board.tell_failed()

        end_when_an_engine_hangs(settings.engine_timeout_s, at_last=tell_failed)
        try:
            models.start(tuple(ROUTES), board)
        except (ArtifactError, EngineError) as error:
            tell_failed()
            raise SystemExit(f"mintage cannot start: {error}") from error
        gc.collect()
        gc.freeze()  # what has been imported stays: the collector need not look at it again and again,
        gc.set_threshold(20_000, 10, 10)  # nor so often at what requests leave, which has no cycles
        self.background = [asyncio.create_task(_tell_alive())]
        if settings.reload_s:
            self.background.append(asyncio.create_task(Reloader(models).run(settings.reload_s)))

    @bentoml.on_shutdown
    async def stop(self) -> None:
        for task in self.background:
            task.cancel()
        await models.close()
        if access_log is not None:
            access_log.close()

    @bentoml.api
    async def generate(
        self,
        label: Annotated[str | int, Field(description="A class by name, slug or number")],
        seed: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None,
        n: Annotated[int, Field(ge=1, le=settings.max_images)] = 1,
        truncation: Annotated[float | None, Field(gt=0, le=MAX_TRUNCATION)] = None,
        model: str | None = None,
        scale: Annotated[int, Field(ge=1, le=MAX_SCALE)] = 1,
    ) -> Image.Image:
        """The image of a class and seed, or a contact sheet of several; for bentoml.SyncHTTPClient.

        POST /v1/images does the same, and more, faster.
        """
        fields = {"label": label, "seed": seed, "n": n, "truncation": truncation}
        with _problems_of_bentoml():
            served = models.of_request(model)
            item = work_item(images_request(fields), served.spec, settings, served.directions)
            check_pixels(item.count, scale, served, settings.max_pixels)
            made = await served.make(item, settings.timeout_ms / 1000)
        return await asyncio.to_thread(_sheet, made.images, scale)

    @bentoml.api
    async def interpolate(
        self,
        keyframes: Annotated[
            list[dict[str, Any]],
            Field(min_length=2, max_length=MAX_KEYFRAMES, description="As in POST /v1/interpolations"),
        ],
        frames: Annotated[int, Field(ge=2, le=settings.max_buffered_frames)] = 60,
        method: Method = "slerp",
        loop: bool = False,
        easing: Easing = "linear",
        fps: Annotated[int, Field(ge=1, le=MAX_GIF_FPS)] = 30,
        model: str | None = None,
        scale: Annotated[int, Field(ge=1, le=MAX_SCALE)] = 1,
    ) -> Annotated[bytes, ContentType("image/gif")]:
        """A GIF of a way through keyframes; for bentoml.SyncHTTPClient.

        POST /v1/interpolations does the same, and more, and sends frames as they are made.
        """
        fields = {"keyframes": keyframes, "frames": frames, "method": method, "loop": loop, "easing": easing}
        body = msgspec.json.encode({**fields, "fps": fps, "model": model, "scale": scale, "format": "gif"})
        with _problems_of_bentoml():
            request = parse_request(body, InterpolationRequest)
            content, _ = await made_at_once(request, "gif", models, settings.timeout_ms / 1000)
        return content


@contextmanager
def _problems_of_bentoml() -> Iterator[None]:
    """Tells problems as BentoML's exceptions, which its methods answer with their statuses."""
    try:
        yield
    except Problem as problem:
        kind = InvalidArgument if problem.status < 429 else ServiceUnavailable
        raise kind(problem.detail) from None


async def _tell_alive() -> None:
    while True:
        models.tell_alive()
        await asyncio.sleep(1)


def _sheet(images: Pixels, scale: int) -> Image.Image:
    return to_pillow(enlarge(contact_sheet(images), scale))
