"""POST /v1/inversions: an image in; the latent and class that reproduce it out."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import msgspec
from msgspec import Struct

from generator.encoder import Encoded
from generator.latents import Latents
from generator.pixels import Pixels, rms_error
from generator.refining import Refined, Search, images_of_search, refine
from service.encoder import ServedEncoder
from service.encoding import png
from service.errors import Expired, InvalidField
from service.http import JSON, Receive, Scope, Send, cancelled_on_disconnect, header, read_body, send_reply
from service.inversion_requests import inversion_request, label_of
from service.keys import charge
from service.models import Models, ServedModel
from service.recipes import Recipe, ascii_json, encode_latent
from service.routes.images import timeout_s_of
from service.uploads import check_upload_type, read_upload
from service.work import WorkItem


class Found(Struct, frozen=True, eq=False):
    """An image, what it can be made of, and where the time went."""

    image: Pixels  # as the generator's own are, [H, W, C]
    label: int
    encoded: Encoded
    encoder_error: float  # root mean square of pixels, of 255: of the encoder's latent,
    refined: Refined  # and of the one that refinement came to
    timing: dict[str, float]  # milliseconds


async def post_inversions(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    request = inversion_request(scope)
    content_type = check_upload_type(header(scope, b"content-type"))
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    model = models.of_request(request.model)
    encoder = model.encoder
    if encoder is None:
        raise InvalidField(
            "model",
            f"{model.name} has no encoder and can invert no image: `python -m training encoder` trains one",
        )
    label = None if request.label is None else label_of(request.label, model.spec)
    charge(images_of_search(request.refine, model.spec.latent_dim))  # before: a bad image costs time as well
    timeout_s = timeout_s_of(request.timeout_ms, settings)
    with model.in_use(), encoder.place(), cancelled_on_disconnect(receive):
        try:
            async with asyncio.timeout(timeout_s):
                began = time.perf_counter()
                image = await encoder.read(
                    lambda: read_upload(body, content_type, model.spec, settings.max_upload_pixels)
                )
                read_ms = (time.perf_counter() - began) * 1000
                found = await _found(model, encoder, image, label, request.refine, timeout_s)
        except TimeoutError:
            raise Expired(
                f"timeout_ms {timeout_s * 1000:.0f} was over before the image was inverted: allow more time, "
                "or refine less"
            ) from None
    timing = {"read": read_ms, **found.timing}
    headers = [
        (b"x-model", model.id.encode()),
        (b"server-timing", ", ".join(f"{key};dur={ms:.2f}" for key, ms in timing.items()).encode()),
    ]
    await send_reply(send, 200, JSON, msgspec.json.encode(_told(model, found)), headers)


async def _found(
    model: ServedModel, encoder: ServedEncoder, image: Pixels, label: int | None, steps: int, timeout_s: float
) -> Found:
    """Encodes, then makes the images that the refinement wants. Raises what ServedModel.make raises."""
    began = time.perf_counter()
    encoded = await encoder.encode(image)
    encoder_ms = (time.perf_counter() - began) * 1000
    chosen = int(encoded.probabilities.argmax()) if label is None else label
    search = refine(image, encoded.latent, steps, model.spec.noise)
    wanted: Latents | Refined = next(search)
    queue_ms = engine_ms = 0.0
    first: Pixels | None = None
    while not isinstance(wanted, Refined):
        item = WorkItem(chosen, latent=wanted)
        made = await model.make_charged(item, timeout_s, patient=first is not None)
        first = made.images[0] if first is None else first
        queue_ms, engine_ms = queue_ms + made.queue_ms, engine_ms + made.engine_ms
        wanted = await asyncio.to_thread(_next, search, made.images)
    assert first is not None  # a search wants one image at least
    timing = {"encoder": encoder_ms, "queue": queue_ms, "engine": engine_ms}
    return Found(image, chosen, encoded, float(rms_error(first, image)), wanted, timing)


def _next(search: Search, images: Pixels) -> Latents | Refined:
    """What a search wants after these images, or what it has found."""
    try:
        return search.send(images)
    except StopIteration as end:
        refined: Refined = end.value
        return refined


def _told(model: ServedModel, found: Found) -> dict[str, Any]:
    """The reply: all that is needed to go on from the image, and to see how near it is."""
    spec, refined = model.spec, found.refined
    text = encode_latent(refined.latent)
    recipe = Recipe(model.id, spec.class_names, WorkItem(found.label, latent=refined.latent[None]))
    return {
        "model": model.id,
        "label": spec.class_names[found.label],
        "probabilities": {
            name: round(float(share), 6)
            for name, share in zip(spec.class_names, found.encoded.probabilities, strict=True)
        },
        "latent": refined.latent.tolist(),
        "error": refined.error,
        "encoder_error": found.encoder_error,
        "permalink": f"/v1/images/{model.id}/{spec.slugs[found.label]}/latent.png?latent={text}",
        "b64_png": _base64(png(refined.image, recipe.image(0))),
        "b64_seen_png": _base64(png(found.image, ascii_json({"seen_by": model.id}))),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
