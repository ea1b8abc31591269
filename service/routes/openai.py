"""POST /v1/images/generations: the images request of OpenAI's API, whose prompt is the name of a class.

"Create image" in OpenAI's API reference. Errors are OpenAI's error objects (service/dialects.py).
"""

from __future__ import annotations

import asyncio
import base64
import re
import reprlib
import time
from typing import Any
from urllib.parse import urlencode

from service.encoding import Rendering, encode
from service.errors import InvalidField
from service.http import Receive, Scope, Send, cancelled_on_disconnect, header, read_body, send_json
from service.models import Models, ServedModel
from service.openai_requests import class_of, parse_generations_request, scale_of
from service.recipes import Recipe
from service.requests import Format, ImagesRequest, work_item
from service.routes.images import LARGE_REPLY, check_content_type, check_pixels
from service.settings import Settings
from service.work import WorkItem

_SUFFIXES: dict[Format, str] = {"png": "png", "webp": "webp", "jpeg": "jpg"}
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


async def post_generations(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    check_content_type(scope)
    request = parse_generations_request(
        await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    )
    model = models.find(models.default if request.model is None else request.model)
    label = class_of(request.prompt, model.spec)
    wanted = ImagesRequest(label=label, seed=request.seed, n=request.n, truncation=request.truncation)
    item = work_item(wanted, model.spec, settings)
    rendering = Rendering(
        form=request.output_format or "png",
        scale=scale_of(request.size, model.spec.image_size),
        quality=request.quality_of_form(),
    )
    check_pixels(item.count, rendering.scale, model, settings.max_pixels)
    if request.response_format == "url":
        images = _links(scope, model, label, item, rendering)  # the image is made when it is fetched
    else:
        with cancelled_on_disconnect(receive):
            images = await _pictures(model, item, rendering, settings)
    about = {"revised_prompt": model.spec.class_names[label]}
    data = [{**image, "seed": seed, **about} for image, seed in zip(images, item.seeds, strict=True)]
    side = model.spec.image_size * rendering.scale
    reply = {
        "created": int(time.time()),
        "data": data,
        "output_format": rendering.form,
        "size": f"{side}x{side}",
        "background": "opaque",
        "model": model.id,
    }
    await send_json(send, reply)


async def _pictures(
    model: ServedModel, item: WorkItem, rendering: Rendering, settings: Settings
) -> list[dict[str, Any]]:
    """The bytes of each image, the same as those behind its link."""
    made = await model.make(item, settings.timeout_ms / 1000)

    def pictures() -> list[dict[str, Any]]:
        recipes = [Recipe(model.id, model.spec.class_names, item.rows(n, n + 1)) for n in range(item.count)]
        contents = [encode(made.images[n : n + 1], rendering, recipe) for n, recipe in enumerate(recipes)]
        return [{"b64_json": base64.b64encode(content).decode()} for content in contents]

    large = made.images.size * rendering.scale**2 > LARGE_REPLY
    return await asyncio.to_thread(pictures) if large else pictures()


def _links(
    scope: Scope, model: ServedModel, label: int, item: WorkItem, rendering: Rendering
) -> list[dict[str, Any]]:
    """Permalinks at the address that the client used."""
    host = header(scope, b"host") or ""
    if not _HOST.fullmatch(host):
        raise InvalidField(
            "response_format",
            f"the Host header {reprlib.repr(host)} makes no link: send host or host:port, or ask "
            "for b64_json",
        )
    folder = f"{scope.get('scheme', 'http')}://{host}/v1/images/{model.id}/{model.spec.slugs[label]}"
    given = {"scale": rendering.scale, "quality": rendering.quality, "truncation": item.truncation}
    told = {key: value for key, value in given.items() if value is not None and (key, value) != ("scale", 1)}
    query = f"?{urlencode(told)}" if told else ""
    return [{"url": f"{folder}/{seed}.{_SUFFIXES[rendering.form]}{query}"} for seed in item.seeds]
