"""POST /v1/images: a class and a seed, a latent or a mix in; images out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from generator.pixels import Pixels
from service.batching import Made
from service.encoding import MEDIA_TYPES, Rendering, encode, negotiate
from service.errors import InvalidField, UnsupportedMediaType
from service.http import (
    JSON,
    Headers,
    Receive,
    Scope,
    Send,
    cancelled_on_disconnect,
    header,
    read_body,
    send_reply,
)
from service.latent_requests import GridRequest, VariationsRequest
from service.models import Models, ServedModel
from service.recipes import Recipe
from service.requests import ImagesRequest, parse_images_request, work_item
from service.settings import Settings
from service.tracing import note
from service.work import WorkItem

Request = TypeVar("Request", ImagesRequest, VariationsRequest, GridRequest)

LARGE_REPLY = 250_000  # pixels: encoded on a thread, so that the event loop goes on
LOSSY = ("jpeg", "webp")


async def post_images(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    asked = await read(models, scope, receive, parse_images_request)
    item = work_item(asked.request, asked.model.spec, asked.settings, asked.model.directions)
    await answer(asked, item, receive, send)


class Asked(Struct, Generic[Request], frozen=True):
    """A request for images that are sent together, and what those of its fields mean that all such have."""

    request: Request
    rendering: Rendering
    model: ServedModel
    settings: Settings
    timeout_s: float


async def read(
    models: Models, scope: Scope, receive: Receive, parse: Callable[[bytes], Request]
) -> Asked[Request]:
    """Raises Problem."""
    settings = models.settings
    check_content_type(scope)
    request = parse(await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s))
    form = request.format or negotiate(header(scope, b"accept") or "*/*")
    rendering = Rendering(form, request.scale, request.quality)
    timeout_s = timeout_s_of(request.timeout_ms, settings)
    return Asked(request, rendering, models.of_request(request.model), settings, timeout_s)


async def answer(
    asked: Asked[Request],
    item: WorkItem,
    receive: Receive,
    send: Send,
    draw: Callable[[Pixels], bytes] | None = None,
    headers: Headers | None = None,
) -> None:
    """Sends an item's images, or what `draw` makes of them, with headers of its own. Raises Problem."""
    with cancelled_on_disconnect(receive):
        content, told = await make(asked.model, item, asked.rendering, asked.settings, asked.timeout_s, draw)
    media_type = MEDIA_TYPES[asked.rendering.form]
    await send_reply(send, 200, media_type, content, told + (headers or []))


async def make(
    model: ServedModel,
    item: WorkItem,
    rendering: Rendering,
    settings: Settings,
    timeout_s: float,
    draw: Callable[[Pixels], bytes] | None = None,
) -> tuple[bytes, Headers]:
    """A reply's body, and the headers that say what made it and where its time went.

    `draw` makes the body of the images, where it is another than images of an item have. Raises InvalidField
    for a rendering that cannot be, and what ServedModel.make raises.
    """
    _check_quality(rendering)
    check_pixels(item.count, rendering.scale, model, settings.max_pixels)
    made = await model.make(item, timeout_s)
    if made.images.size * rendering.scale**2 > LARGE_REPLY:
        content, encode_ms = await asyncio.to_thread(encoded, model, item, rendering, made, draw)
    else:
        content, encode_ms = encoded(model, item, rendering, made, draw)
    return content, described(model, item, made, encode_ms)


def encoded(
    model: ServedModel,
    item: WorkItem,
    rendering: Rendering,
    made: Made,
    draw: Callable[[Pixels], bytes] | None = None,
) -> tuple[bytes, float]:
    """A reply's body, and the milliseconds it took."""
    began = time.perf_counter()
    if draw is None:
        content = encode(made.images, rendering, Recipe(model.id, model.spec.class_names, item))
    else:
        content = draw(made.images)
    return content, (time.perf_counter() - began) * 1000


def described(model: ServedModel, item: WorkItem, made: Made, encode_ms: float) -> Headers:
    """The headers that say what made a reply and where its time went; metrics and traces are told too."""
    model.metrics.encoded(encode_ms / 1000)
    note(model.id, made, encode_ms)
    headers = [
        (b"x-model", model.id.encode()),
        (b"server-timing", server_timing(made, encode_ms)),
        (b"x-batch-size", b"%d" % made.batch),
    ]
    if item.seeds:
        headers.append((b"x-seed", b"%d" % item.seeds[0]))
    return headers


def server_timing(made: Made, encode_ms: float) -> bytes:
    """The Server-Timing header (W3C), in milliseconds."""
    return b"queue;dur=%.2f, engine;dur=%.2f, encode;dur=%.2f" % (made.queue_ms, made.engine_ms, encode_ms)


def timeout_s_of(timeout_ms: int | None, settings: Settings) -> float:
    """How long a request may take that says so itself, or does not."""
    return min(timeout_ms or settings.timeout_ms, settings.timeout_ms) / 1000


def check_content_type(scope: Scope) -> None:
    """Raises UnsupportedMediaType for a body that is said to be something else than JSON."""
    media_type = (header(scope, b"content-type") or JSON).split(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"content-type {media_type!r}: send the request as {JSON}")


def _check_quality(rendering: Rendering) -> None:
    if rendering.quality is not None and rendering.form not in LOSSY:
        raise InvalidField("quality", f"quality is for {' and '.join(LOSSY)}: leave it out")


def check_pixels(count: int, scale: int, model: ServedModel, max_pixels: int) -> None:
    """Raises InvalidField for a reply that would be too large."""
    pixels = count * (model.spec.image_size * scale) ** 2
    if pixels > max_pixels:
        raise InvalidField(
            "scale" if count == 1 else "n",
            f"{count} images at scale {scale} are {pixels:,} pixels: allowed are {max_pixels:,} in one reply",
        )
