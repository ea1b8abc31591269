"""The BentoML service: settings, start-up, warm-up, and the application in front of BentoML's own."""

from __future__ import annotations

import asyncio
from typing import Annotated

import bentoml
from bentoml.exceptions import InvalidArgument, ServiceUnavailable
from PIL import Image
from pydantic import Field

from generator.artifact import ArtifactError
from generator.latents import MAX_SEED, MAX_TRUNCATION
from generator.pixels import Pixels, contact_sheet, enlarge, to_pillow
from service.app import ROUTES, App
from service.errors import Problem
from service.http import ASGIApp
from service.models import Models, find_artifacts
from service.requests import MAX_SCALE, images_request, work_item
from service.routes.images import check_pixels
from service.settings import load_settings

settings = load_settings()
models = Models(settings)

BENTOML_PATHS = {"/schema.json", "/docs.json"}  # what bentoml.SyncHTTPClient and other tools of BentoML read


class DirectService(bentoml.Service):  # type: ignore[misc]
    """A BentoML service whose own routes are answered before BentoML's middleware.

    That middleware costs several times what generating an image does. BentoML still runs the process:
    start-up, life cycle, the `@bentoml.api` methods, everything that is not ours.
    """

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        methods = frozenset(method.route for method in self.apis.values())
        return App(models, super().to_asgi(is_main), (methods | BENTOML_PATHS) - ROUTES.keys())


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
        """Before any process is started: are the artifacts whole? A failure ends the start."""
        try:
            find_artifacts(settings)
        except ArtifactError as error:
            raise SystemExit(f"mintage cannot start: {error}") from error

    @bentoml.on_startup
    def start(self) -> None:
        models.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        await models.close()

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
        try:
            served = models.of_request(model)
            item = work_item(images_request(fields), served.spec, settings)
            check_pixels(item.count, scale, served, settings.max_pixels)
            made = await served.batcher.submit(item, settings.timeout_ms / 1000)
        except Problem as problem:
            kind = InvalidArgument if problem.status < 429 else ServiceUnavailable
            raise kind(problem.detail) from None
        return await asyncio.to_thread(_sheet, made.images, scale)


def _sheet(images: Pixels, scale: int) -> Image.Image:
    return to_pillow(enlarge(contact_sheet(images), scale))
