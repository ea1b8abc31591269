"""POST /v1/grids: classes and seeds in; every class with every seed out."""

from __future__ import annotations

import numpy as np

from generator.pixels import Pixels, contact_sheet, enlarge
from generator.sheets import labelled_sheet
from service.encoding import MEDIA_TYPES, SHEET_FORMS, Rendering, encode_each, encode_picture, negotiate
from service.http import Receive, Scope, Send, cancelled_on_disconnect, header, read_body, send_reply
from service.latent_requests import GridRequest, grid_of, parse_request
from service.models import Models, ServedModel
from service.recipes import Recipe, ascii_json
from service.routes.images import check_content_type, make, timeout_s_of
from service.work import WorkItem


async def post_grids(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    settings = models.settings
    check_content_type(scope)
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    request = parse_request(body, GridRequest)
    form = request.format or negotiate(header(scope, b"accept") or "*/*")
    rendering = Rendering(form, request.scale, request.quality)
    model = models.of_request(request.model)
    item, labels = grid_of(request, model.spec, settings, model.directions)
    timeout_s = timeout_s_of(request.timeout_ms, settings)

    def draw(images: Pixels) -> bytes:
        return _encode(images, rendering, request, item, labels, model)

    with cancelled_on_disconnect(receive):
        content, headers = await make(model, item, rendering, settings, timeout_s, draw)
    await send_reply(send, 200, MEDIA_TYPES[form], content, headers)


def _encode(
    images: Pixels,
    rendering: Rendering,
    request: GridRequest,
    item: WorkItem,
    labels: list[int],
    model: ServedModel,
) -> bytes:
    """A sheet, a row a class and a column a seed, or each image with both."""
    spec, columns = model.spec, len(request.seeds)
    names = [spec.class_names[label] for label in labels]
    recipe = Recipe(
        model.id, spec.class_names, item, [{"label": name} for name in names for _ in range(columns)]
    )
    if rendering.form not in SHEET_FORMS:
        files = [f"{spec.slugs[label]}/{seed}.png" for label in labels for seed in request.seeds]
        return encode_each(images, rendering, recipe, files)
    about = ascii_json({**recipe.common(), "labels": names, "seeds": request.seeds})
    if not request.axis_labels:
        return encode_picture(enlarge(contact_sheet(images, columns), rendering.scale), rendering, about)
    sheet = labelled_sheet(enlarge(images, rendering.scale), names, [str(seed) for seed in request.seeds])
    return encode_picture(np.asarray(sheet), rendering, about)
