"""POST /v1/interpolations: keyframes in; the frames of a way through them out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import Any

import numpy as np

from service.batching import Made
from service.encoding import best_form
from service.errors import InvalidField
from service.films import FILM_TYPES, MAX_GIF_FPS, REELS, Film, FilmForm, NpyReel, Reel, whole
from service.frames import pieces
from service.http import (
    Disconnected,
    Headers,
    Receive,
    Scope,
    Send,
    cancelled_on_disconnect,
    header,
    read_body,
    send_reply,
)
from service.latent_requests import InterpolationRequest, Journey, journey_of, parse_request
from service.models import Models, ServedModel
from service.recipes import Recipe, ascii_json, class_told
from service.routes.images import LARGE_REPLY, check_content_type, described, timeout_s_of
from service.settings import Settings
from service.work import WorkItem

ABOUT_FRAMES = ("json", "zip")  # say of each frame what made it

logger = logging.getLogger("mintage")


async def post_interpolations(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    check_content_type(scope)
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    request = parse_request(body, InterpolationRequest)
    form = request.format or best_form(header(scope, b"accept") or "*/*", FILM_TYPES)
    timeout_s = timeout_s_of(request.timeout_ms, settings)
    with cancelled_on_disconnect(receive):
        if form in REELS:
            await _stream(request, form, models, timeout_s, send)
        else:
            content, headers = await made_at_once(request, form, models, timeout_s)
            await send_reply(send, 200, FILM_TYPES[form], content, headers)


async def made_at_once(
    request: InterpolationRequest, form: FilmForm, models: Models, timeout_s: float
) -> tuple[bytes, Headers]:
    """The body of a reply that is sent when all frames are there, and its headers. Raises Problem."""
    model = models.of_request(request.model)
    check(request, form, model, models.settings, at_once=True)
    journey = journey_of(request, model.spec, model.directions)
    made: list[Made] = []
    about: list[bytes] = []
    async with aclosing(pieces(model, journey.path, request.scale, timeout_s, of_each=False)) as parts:
        async for item, part in parts:
            if form in ABOUT_FRAMES:
                about += _about_frames(model, journey, item, first=len(about))
            made.append(part)
    images = np.concatenate([part.images for part in made])
    began = time.perf_counter()
    members = {**_told(request, model), "keyframes": journey.path.keyframes}
    content = await asyncio.to_thread(whole, images, film_of(request, journey, form, model), about, members)
    encode_ms = (time.perf_counter() - began) * 1000
    return content, _headers(model, journey, _together(made), encode_ms)


async def _stream(
    request: InterpolationRequest, form: FilmForm, models: Models, timeout_s: float, send: Send
) -> None:
    """Sends frames as they are made, each piece when the client has taken those before.

    What fails before the first frames are sent is raised; after that the connection is ended, so that the
    client does not take what it has for the whole.
    """
    model = models.of_request(request.model)
    check(request, form, model, models.settings, at_once=False)
    journey = journey_of(request, model.spec, model.directions)
    film, sent = film_of(request, journey, form, model), 0
    parts = pieces(model, journey.path, film.scale, timeout_s, of_each=True)
    async with aclosing(parts):
        with closing(REELS[form](film)) as reel:
            try:
                async for item, made in parts:
                    about = _about_frames(model, journey, item, sent) if form in ABOUT_FRAMES else ()
                    content, encode_ms = await _encoded(reel, made, about)
                    if not sent:
                        await _send_head(send, reel, _headers(model, journey, made, encode_ms))
                        content = reel.begin() + content
                    else:
                        model.metrics.encoded(encode_ms / 1000)
                    sent += item.count
                    await send({"type": "http.response.body", "body": content, "more_body": True})
            except Exception as error:
                if not sent:
                    raise
                logger.exception("an interpolation ended after %d of %d frames", sent, film.frames)
                raise Disconnected from error
            await send({"type": "http.response.body", "body": reel.end()})


def check(
    request: InterpolationRequest, form: FilmForm, model: ServedModel, settings: Settings, at_once: bool
) -> None:
    """Raises InvalidField for a film that would be too long or too large, or that its form cannot be.

    Films that are sent at once are kept whole in memory, and may be less.
    """
    if request.quality is not None and form != "webp":
        raise InvalidField("quality", "quality is for webp: leave it out")
    if form == "gif" and request.fps > MAX_GIF_FPS:
        raise InvalidField("fps", f"fps {request.fps}: a gif shows up to {MAX_GIF_FPS} frames a second")
    limit = min(settings.max_frames, settings.max_buffered_frames) if at_once else settings.max_frames
    if request.frames > limit:
        way_out = f"; {', '.join(REELS)} have up to {settings.max_frames}" if at_once else ""
        raise InvalidField("frames", f"{request.frames} frames as {form}: allowed are 2 to {limit}{way_out}")
    frame = (model.spec.image_size * request.scale) ** 2
    for pixels, limit, what in (
        (frame, settings.max_pixels, "a frame"),
        (
            frame * request.frames,
            settings.max_pixels if at_once else settings.max_stream_pixels,
            f"{request.frames} frames as {form}",
        ),
    ):
        if pixels > limit:
            raise InvalidField(
                "scale", f"{what} at scale {request.scale}: {pixels:,} pixels, allowed are {limit:,}"
            )


def film_of(request: InterpolationRequest, journey: Journey, form: FilmForm, model: ServedModel) -> Film:
    """How the frames are shown, and what is told in them of what made them."""
    keyframes = [Recipe(model.id, model.spec.class_names, item).subject(0) for item in journey.keyframes]
    about = {**_told(request, model), "keyframes": keyframes, "frames": request.frames}
    return Film(
        form=form,
        frames=request.frames,
        size=model.spec.image_size,
        channels=model.spec.channels,
        scale=request.scale,
        fps=request.fps,
        loop=request.loop,
        quality=request.quality,
        about=ascii_json(about),
    )


async def _send_head(send: Send, reel: Reel, headers: Headers) -> None:
    about_body = [(b"content-type", FILM_TYPES[reel.film.form].encode())]
    if isinstance(reel, NpyReel):
        about_body.append((b"content-length", b"%d" % reel.length()))
    await send({"type": "http.response.start", "status": 200, "headers": [*about_body, *headers]})


async def _encoded(reel: Reel, made: Made, about: Sequence[bytes]) -> tuple[bytes, float]:
    """The bytes of some frames, and the milliseconds they took."""
    began = time.perf_counter()
    is_slow = reel.film.form == "gif" and reel.film.channels == 3  # it chooses palettes
    if is_slow or made.images.size * reel.film.scale**2 > LARGE_REPLY:
        content = await asyncio.to_thread(reel.add, made.images, about)
    else:
        content = reel.add(made.images, about)
    return content, (time.perf_counter() - began) * 1000


def _told(request: InterpolationRequest, model: ServedModel) -> dict[str, Any]:
    fields = ("method", "loop", "easing", "fps")
    return {"model": model.id, **{field: getattr(request, field) for field in fields}}


def _about_frames(model: ServedModel, journey: Journey, item: WorkItem, first: int) -> list[bytes]:
    """What made each frame of an item, from frame `first` on; of a keyframe, as it was asked for."""
    names = model.spec.class_names
    keyframes = dict(zip(journey.path.keyframes, journey.keyframes, strict=True))
    each = [class_told(vector, names) for vector in item.class_vectors(model.spec)]
    between = Recipe(model.id, names, item, each)
    return [
        Recipe(model.id, names, keyframes[first + row]).image(0)
        if first + row in keyframes
        else between.image(row)
        for row in range(item.count)
    ]


def _headers(model: ServedModel, journey: Journey, made: Made, encode_ms: float) -> Headers:
    """As of images, X-Seed that of the first keyframe; times may be those of the first piece alone."""
    keyframes = ",".join(map(str, journey.path.keyframes)).encode()
    return [*described(model, journey.keyframes[0], made, encode_ms), (b"x-keyframes", keyframes)]


def _together(made: list[Made]) -> Made:
    """The times of all pieces: what they waited, and what they took."""
    return Made(
        images=made[0].images,
        queue_ms=sum(part.queue_ms for part in made),
        engine_ms=sum(part.engine_ms for part in made),
        batch=max(part.batch for part in made),
    )
