"""POST /v1/variations: an image in; its neighbours in latent space out."""

from __future__ import annotations

from generator.pixels import Pixels, contact_sheet, enlarge
from service.encoding import MEDIA_TYPES, SHEET_FORMS, Rendering, encode_each, encode_picture, negotiate
from service.http import Receive, Scope, Send, cancelled_on_disconnect, header, read_body, send_reply
from service.latent_requests import VariationsRequest, parse_request, variations_of
from service.models import Models, ServedModel
from service.recipes import Recipe, ascii_json, encode_latent
from service.requests import counted
from service.routes.images import check_content_type, make, timeout_s_of
from service.work import WorkItem


async def post_variations(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    check_content_type(scope)
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    request = parse_request(body, VariationsRequest)
    form = request.format or negotiate(header(scope, b"accept") or "*/*")
    rendering = Rendering(form, request.scale, request.quality)
    model = models.of_request(request.model)
    image, near = variations_of(request, model.spec, settings, model.directions)
    timeout_s = timeout_s_of(request.timeout_ms, settings)

    def draw(images: Pixels) -> bytes:
        return _encode(images, rendering, request, image, near, model)

    with cancelled_on_disconnect(receive):
        content, headers = await make(model, near, rendering, settings, timeout_s, draw)
    if image.seeds:
        headers.append((b"x-seed", b"%d" % image.seeds[0]))
    await send_reply(send, 200, MEDIA_TYPES[form], content, headers)


def _encode(
    images: Pixels,
    rendering: Rendering,
    request: VariationsRequest,
    image: WorkItem,
    near: WorkItem,
    model: ServedModel,
) -> bytes:
    """A sheet of the neighbours, or each with its latent, from which it can be made again."""
    of = Recipe(model.id, model.spec.class_names, image).subject(0)
    strength, seeds = {"strength": request.strength}, counted(request.variation_seed, request.n)
    if rendering.form in SHEET_FORMS:
        about = {
            "model": model.id,
            "variations_of": of,
            **strength,
            "variation_seed": seeds[0],
            "n": len(seeds),
        }
        return encode_picture(enlarge(contact_sheet(images), rendering.scale), rendering, ascii_json(about))
    assert near.latent is not None  # neighbours are
    each = [
        {"latent": encode_latent(latent), "variation_of": of, **strength, "variation_seed": seed}
        for latent, seed in zip(near.latent, seeds, strict=True)
    ]
    recipe = Recipe(model.id, model.spec.class_names, near, each)
    return encode_each(images, rendering, recipe, [f"{seed}.png" for seed in seeds])
