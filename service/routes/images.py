"""POST /v1/images: a class and a seed, a latent or a mix in; images out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from service.encoding import MEDIA_TYPES, encode, negotiate
from service.errors import InvalidField, UnsupportedMediaType
from service.http import JSON, Receive, Scope, Send, header, read_body, send_reply
from service.models import Models, ServedModel
from service.requests import ImagesRequest, WorkItem, parse_images_request, work_item

LARGE_REPLY = 250_000  # pixels: encoded on a thread, so that the event loop goes on


async def post_images(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    _check_content_type(header(scope, b"content-type"))
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    request = parse_images_request(body)
    form = request.format or negotiate(header(scope, b"accept") or "*/*")
    model = models.of_request(request.model)
    item = work_item(request, model.spec, settings)
    _check_pixels(item.count, request.scale, model, settings.max_pixels)
    timeout_ms = min(request.timeout_ms or settings.timeout_ms, settings.timeout_ms)

    made = await model.batcher.submit(item, timeout_ms / 1000)

    began = time.perf_counter()
    seeds: Sequence[int | None] = item.seeds or [None] * item.count
    about = _about(request, model, item) if form == "json" else {}
    job = (made.images, form, request.scale, seeds, about)
    if made.images.size * request.scale**2 > LARGE_REPLY:
        content = await asyncio.to_thread(encode, *job)
    else:
        content = encode(*job)
    encode_ms = (time.perf_counter() - began) * 1000
    timing = f"queue;dur={made.queue_ms:.2f}, engine;dur={made.engine_ms:.2f}, encode;dur={encode_ms:.2f}"
    headers = [
        (b"x-model", model.id.encode()),
        (b"server-timing", timing.encode()),
        (b"x-batch-size", str(made.batch).encode()),
    ]
    if item.seeds:
        headers.append((b"x-seed", str(item.seeds[0]).encode()))
    await send_reply(send, 200, MEDIA_TYPES[form], content, headers)


def _about(request: ImagesRequest, model: ServedModel, item: WorkItem) -> dict[str, Any]:
    """What the JSON reply says beside the images: everything needed to ask for them again."""
    names = model.spec.class_names
    about: dict[str, Any] = {"model": model.id, "truncation": item.truncation}
    if request.mix is None:
        return about | {"label": names[int(item.class_vector.argmax())]}
    weights = enumerate(item.class_vector.tolist())
    return about | {"mix": {names[index]: weight for index, weight in weights if weight > 0}}


def _check_content_type(content_type: str | None) -> None:
    media_type = (content_type or JSON).split(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"content-type {media_type!r}: send the request as {JSON}")


def _check_pixels(count: int, scale: int, model: ServedModel, max_pixels: int) -> None:
    pixels = count * (model.spec.image_size * scale) ** 2
    if pixels > max_pixels:
        raise InvalidField(
            "scale" if count == 1 else "n",
            f"{count} images at scale {scale} are {pixels:,} pixels: allowed are {max_pixels:,} in one reply",
        )
