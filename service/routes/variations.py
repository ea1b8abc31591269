"""POST /v1/variations: an image in; its neighbours in latent space out."""

from __future__ import annotations

from generator.pixels import Pixels, contact_sheet, enlarge
from service.encoding import SHEET_FORMS, encode_each, encode_picture
from service.http import Receive, Scope, Send
from service.latent_requests import VariationsRequest, parse_request, variations_of
from service.models import Models
from service.recipes import Recipe, ascii_json, encode_latent
from service.requests import counted
from service.routes.images import Asked, answer, read
from service.work import WorkItem


async def post_variations(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    asked = await read(models, scope, receive, lambda body: parse_request(body, VariationsRequest))
    image, near = variations_of(asked.request, asked.model.spec, asked.settings, asked.model.directions)
    seed = [(b"x-seed", b"%d" % image.seeds[0])] if image.seeds else []
    await answer(asked, near, receive, send, lambda images: _encode(images, asked, image, near), seed)


def _encode(images: Pixels, asked: Asked[VariationsRequest], image: WorkItem, near: WorkItem) -> bytes:
    """A sheet of the neighbours, or each with its latent, from which it can be made again."""
    request, rendering, model = asked.request, asked.rendering, asked.model
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
