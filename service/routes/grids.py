"""POST /v1/grids: classes and seeds in; every class with every seed out."""

from __future__ import annotations

import numpy as np

from generator.pixels import Pixels, contact_sheet, enlarge
from generator.sheets import labelled_sheet
from service.encoding import SHEET_FORMS, encode_each, encode_picture
from service.http import Receive, Scope, Send
from service.latent_requests import GridRequest, grid_of, parse_request
from service.models import Models
from service.recipes import Recipe, ascii_json
from service.routes.images import Asked, answer, read
from service.work import WorkItem


async def post_grids(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request. Raises Problem."""
    asked = await read(models, scope, receive, lambda body: parse_request(body, GridRequest))
    item, labels = grid_of(asked.request, asked.model.spec, asked.settings, asked.model.directions)
    await answer(asked, item, receive, send, lambda images: _encode(images, asked, item, labels))


def _encode(images: Pixels, asked: Asked[GridRequest], item: WorkItem, labels: list[int]) -> bytes:
    """A sheet, a row a class and a column a seed, or each image with both."""
    request, rendering, model = asked.request, asked.rendering, asked.model
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
