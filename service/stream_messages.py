"""What goes over a stream: a client's JSON -> a work item; an image -> a frame with its header."""

from __future__ import annotations

import random
import reprlib
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from generator.latents import MAX_SEED
from generator.pixels import enlarge
from service.batching import Made
from service.encoding import Rendering
from service.errors import BadRequest, InvalidField
from service.models import Models, ServedModel
from service.requests import ALLOWED, ImagesRequest, images_request, invalid_field, work_item
from service.settings import Settings
from service.work import WorkItem, latents_of

FORMS = ("raw", "png", "webp")  # their places are their numbers in a frame's header
MAX_WINDOW = 64
MAX_FRAME_PIXELS = 2**20  # 1024 x 1024, after scaling

VERSION = 1
# version, form, channels, is there a seed; seq, superseded; width, height; seed; queue, engine, encode
HEADER = struct.Struct("<BBBBIIHHIfff")

Count = Annotated[int, Meta(ge=0, le=MAX_SEED)]


class Control(Struct, forbid_unknown_fields=True, frozen=True):
    """The fields of a message that say how to stream, and not what."""

    key: str | None = None
    seq: Count | None = None
    seen: Count | None = None
    window: Annotated[int, Meta(ge=1, le=MAX_WINDOW)] | None = None
    format: Literal["png", "webp", "raw"] | None = None
    delta: dict[str, float] | list[float] | None = None


CONTROL = frozenset(Control.__struct_fields__)
# What an image is made of, as in POST /v1/images; a frame is one image, and its time the server's.
RECIPE = tuple(name for name in ImagesRequest.__struct_fields__ if name not in CONTROL | {"n", "timeout_ms"})
ALLOWED_HERE = {name: ALLOWED[name] for name in RECIPE} | {
    "key": "an API key (a string)",
    "seq": "whole numbers from 0 to 4294967295, each larger than the one before",
    "seen": "the seq of a frame",
    "window": f"whole numbers from 1 to {MAX_WINDOW}",
    "format": "png, webp, raw",
    "delta": "an object of directions and what to add to each, or a list of numbers to add to the latent",
}
# What a newly given field puts an end to, unless that is given as well.
ENDS = {"label": ("mix",), "mix": ("label",), "seed": ("latent",), "latent": ("seed", "truncation")}


class Message(Struct, frozen=True):
    """One message of a client, well-formed."""

    control: Control
    changes: dict[str, Any]  # of the recipe; None takes a field away

    @property
    def wants_frame(self) -> bool:
        control = self.control
        asked = (control.seq, control.delta, control.format)
        return bool(self.changes) or any(field is not None for field in asked)


class Wanted(Struct, frozen=True, eq=False):
    """A frame that has not been made yet."""

    seq: int
    model: ServedModel
    item: WorkItem
    form: str
    rendering: Rendering


def parse(text: str | None) -> Message:
    """Raises BadRequest for what is no JSON object, InvalidField for a wrong or unknown field of control."""
    if text is None:
        raise BadRequest('a message is text, and this one is binary: send JSON, such as {"label": 0}')
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise BadRequest(f'not a JSON object: {error}. Send one such as {{"label": 0, "seed": 7}}') from None
    unknown = [name for name in fields if name not in ALLOWED_HERE]
    if unknown:
        name = reprlib.repr(unknown[0])
        raise InvalidField(unknown[0][:100], f"unknown field {name}: allowed are {', '.join(ALLOWED_HERE)}")
    given = {name: value for name, value in fields.items() if name in CONTROL}
    try:
        control = msgspec.convert(given, Control)
    except msgspec.ValidationError as error:
        raise invalid_field(error, given, ALLOWED_HERE) from None
    return Message(control, {name: value for name, value in fields.items() if name not in CONTROL})


class Course:
    """What a client has asked for so far: each message changes some of it. A wrong one changes nothing."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._recipe: dict[str, Any] = {}
        self._form = "png"
        self._seq = -1

    def steer(self, message: Message) -> Wanted:
        """The frame that a message asks for. Raises InvalidField, Unready."""
        control = message.control
        seq = self._seq + 1 if control.seq is None else control.seq
        if seq <= self._seq:
            raise InvalidField("seq", f"seq {seq}: allowed is more than {self._seq}, the one before")
        recipe = changed(self._recipe, message.changes)
        model = self._models.of_request(images_request(recipe).model)
        recipe["model"] = model.name  # to name it later, where it was the default one, is no change
        if "seed" not in recipe and "latent" not in recipe:
            recipe["seed"] = random.getrandbits(32)
        if control.delta is not None:
            recipe = moved(recipe, control.delta, model, self._models.settings)
        request = images_request(recipe)
        item = work_item(request, model.spec, self._models.settings, model.directions)
        form = control.format or self._form
        wanted = Wanted(seq, model, item, form, _rendering(request, form, item, model))
        self._recipe, self._form, self._seq = recipe, form, seq
        return wanted


def changed(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with a message's fields in it; another model begins anew."""
    begins_anew = "model" in changes and changes["model"] != recipe.get("model")
    ended = {other for name in changes if changes[name] is not None for other in ENDS.get(name, ())}
    kept = {} if begins_anew else {name: value for name, value in recipe.items() if name not in ended}
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


def moved(
    recipe: dict[str, Any], delta: dict[str, float] | list[float], model: ServedModel, settings: Settings
) -> dict[str, Any]:
    """A valid recipe a step further: along directions, or by a vector. Raises InvalidField."""
    if isinstance(delta, dict):
        before = recipe.get("directions", {})
        steps = {name: before.get(name, 0.0) + step for name, step in delta.items()}
        return {**recipe, "directions": {**before, **steps}}
    start = {name: value for name, value in recipe.items() if name != "directions"}
    latent = latents_of(work_item(images_request(start), model.spec, settings), model.spec)
    if latent.shape != (1, len(delta)):
        raise InvalidField(
            "delta",
            f"delta has {len(delta)} components and moves {len(latent)} images: allowed are "
            f"{model.spec.latent_dim} and one, or an object of directions",
        )
    kept = {name: value for name, value in recipe.items() if name not in ("seed", "truncation")}
    return {**kept, "latent": (latent[0] + np.array(delta)).tolist()}


def _rendering(request: ImagesRequest, form: str, item: WorkItem, model: ServedModel) -> Rendering:
    """How a frame is encoded. Raises InvalidField for more than one image, or one that is too large."""
    if item.count != 1:
        raise InvalidField("latent", f"{item.count} latents: a frame is one image, give one vector")
    pixels = (model.spec.image_size * request.scale) ** 2
    if pixels > MAX_FRAME_PIXELS:
        raise InvalidField(
            "scale", f"scale {request.scale} makes {pixels:,} pixels: allowed are {MAX_FRAME_PIXELS:,}"
        )
    if request.quality is not None and form != "webp":
        raise InvalidField("quality", "quality is for webp: leave it out")
    return Rendering("webp" if form == "webp" else "png", request.scale, request.quality)


def raw(made: Made, scale: int) -> bytes:
    """The pixels themselves, uint8 [H, W, C]."""
    return enlarge(made.images[0], scale).tobytes()


def frame(wanted: Wanted, made: Made, content: bytes, encode_ms: float, superseded: int) -> bytes:
    """A binary message: header, then the image. `superseded` frames were given up since the one before."""
    size, seeds = wanted.model.spec.image_size * wanted.rendering.scale, wanted.item.seeds
    header = HEADER.pack(
        VERSION, FORMS.index(wanted.form), wanted.model.spec.channels, bool(seeds), wanted.seq, superseded,
        size, size, seeds[0] if seeds else 0, made.queue_ms, made.engine_ms, encode_ms,
    )  # fmt: skip
    return header + content
