"""Requests that move through latent space: interpolations, variations, grids."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
import numpy as np
from msgspec import Meta, Struct

from generator.directions import Directions
from generator.latents import MAX_SEED, latents
from generator.paths import MAX_KEYFRAMES, Easing, LatentPath, neighbours
from generator.spec import GeneratorSpec, Label, UnknownLabel
from generator.turning import Method
from service.errors import BadRequest, InvalidField
from service.films import FilmForm
from service.requests import (
    ALLOWED,
    AtLeastOne,
    Coefficients,
    ModelName,
    Quality,
    ReplyFormat,
    Scale,
    Seed,
    Subject,
    Timeout,
    Truncation,
    check_count,
    class_of,
    counted,
    given_latents,
    invalid_field,
    moved,
    plain,
)
from service.settings import Settings
from service.work import WorkItem, latents_of

OneLatent = Annotated[list[float], Meta(description="In place of the seed: a latent vector")]
MAX_FPS = 60


class Keyframe(Subject, forbid_unknown_fields=True, frozen=True):
    """An image on the way: a class or a mix, a seed or a latent."""

    latent: OneLatent | None = None


class InterpolationRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """A way from image to image, and how it is shown."""

    keyframes: Annotated[list[Keyframe], Meta(min_length=2, max_length=MAX_KEYFRAMES)]
    frames: Annotated[int, Meta(ge=2, description="Of the whole; as many as keyframes, or more")] = 60
    method: Annotated[
        Method,
        Meta(
            description="slerp turns the direction evenly and interpolates the norm; lerp goes straight; "
            "nlerp goes straight and corrects the norm"
        ),
    ] = "slerp"
    loop: Annotated[bool, Meta(description="Goes back to the first keyframe, and is shown for ever")] = False
    easing: Annotated[
        Easing, Meta(description="linear: an even pace; ease-in-out: at rest in every keyframe")
    ] = "linear"
    fps: Annotated[
        int, Meta(ge=1, le=MAX_FPS, description="Frames a second of an animation; of a GIF up to 50")
    ] = 30
    truncation: Annotated[
        Truncation | None, Meta(description="Of the keyframes that have a seed and none of their own")
    ] = None
    directions: Annotated[
        Coefficients | None, Meta(description="Of the keyframes that have none of their own")
    ] = None
    model: ModelName | None = None
    scale: Scale = 1
    format: Annotated[
        FilmForm | None, Meta(description="The reply's form; the Accept header's if left out")
    ] = None
    quality: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="Of WebP (lossless if left out)")
    ] = None
    timeout_ms: Annotated[
        Timeout | None,
        Meta(description="Give up when the frames, or the next of those that are streamed, take longer"),
    ] = None


class VariationsRequest(Subject, forbid_unknown_fields=True, frozen=True):
    """Neighbours of one image."""

    latent: OneLatent | None = None
    strength: Annotated[float, Meta(ge=0, le=1, description="0 is the image itself, 1 is unrelated ones")] = (
        0.2
    )
    n: Annotated[AtLeastOne, Meta(description="How many")] = 8
    variation_seed: Annotated[Seed, Meta(description="Of the first neighbour; the next ones count up")] = 0
    model: ModelName | None = None
    scale: Scale = 1
    format: ReplyFormat | None = None
    quality: Quality | None = None
    timeout_ms: Timeout | None = None


class GridRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """Every class with every seed."""

    labels: Annotated[
        Literal["all"] | Annotated[list[str | int], Meta(min_length=1)],
        Meta(description="Classes, a row each: names, slugs or indices; or all"),
    ]
    seeds: Annotated[list[Seed], Meta(min_length=1, description="A column each")]
    truncation: Truncation | None = None
    directions: Coefficients | None = None
    axis_labels: Annotated[bool, Meta(description="Draws classes and seeds beside a sheet of images")] = False
    model: ModelName | None = None
    scale: Scale = 1
    format: ReplyFormat | None = None
    quality: Quality | None = None
    timeout_ms: Timeout | None = None


Request = TypeVar("Request", InterpolationRequest, VariationsRequest, GridRequest)

_SUBJECT = {
    **{field: ALLOWED[field] for field in ("label", "mix", "seed", "truncation", "directions")},
    "latent": "a list of numbers",
}
_REPLY = {field: ALLOWED[field] for field in ("model", "scale", "format", "quality", "timeout_ms")}
_ALLOWED: dict[type[Struct], Mapping[str, str]] = {
    Keyframe: _SUBJECT,
    InterpolationRequest: {
        "keyframes": f'2 to {MAX_KEYFRAMES} objects such as {{"label": 0, "seed": 7}}',
        "frames": "whole numbers from 2",
        "method": ", ".join(get_args(Method)),
        "loop": "true or false",
        "easing": ", ".join(get_args(Easing)),
        "fps": f"whole numbers from 1 to {MAX_FPS}",
        **{field: ALLOWED[field] for field in ("truncation", "directions")},
        **_REPLY,
        "format": ", ".join(get_args(FilmForm)),
    },
    VariationsRequest: {
        **_SUBJECT,
        "strength": "numbers from 0 to 1",
        "n": "whole numbers from 1",
        "variation_seed": f"whole numbers from 0 to {MAX_SEED}",
        **_REPLY,
    },
    GridRequest: {
        "labels": '"all", or a list of classes: names, slugs (strings) or indices (whole numbers)',
        "seeds": f"a list of whole numbers from 0 to {MAX_SEED}",
        **{field: ALLOWED[field] for field in ("truncation", "directions")},
        "axis_labels": "true or false",
        **_REPLY,
    },
}


class Journey(Struct, frozen=True, eq=False):
    """A way through keyframes, each of them an item of one image."""

    path: LatentPath
    keyframes: tuple[WorkItem, ...]


def parse_request(body: bytes, kind: type[Request]) -> Request:
    """Raises BadRequest for what is no JSON, InvalidField for a wrong, unknown or missing field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, plain(body), kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _invalid(error: msgspec.ValidationError, given: Any, kind: type[Struct]) -> InvalidField:
    allowed = _ALLOWED[kind]
    if missing := re.match("Object missing required field `(.*?)`", str(error)):
        field = missing[1]
        return InvalidField(field, f"{field} is missing: it is {allowed[field]}")
    inside = re.fullmatch(r"(.*) - at `\$\.keyframes\[(\d+)\](.*)`", str(error), re.DOTALL)
    try:
        keyframe = given["keyframes"][int(inside[2])] if inside else None
    except (KeyError, IndexError, TypeError):  # JSON that has a key twice
        keyframe = None
    if not inside or not isinstance(keyframe, dict):
        return invalid_field(error, given, allowed)
    part = msgspec.ValidationError(f"{inside[1]} - at `${inside[3]}`")
    return _of_keyframe(int(inside[2]), invalid_field(part, keyframe, _ALLOWED[Keyframe]))


def _of_keyframe(place: int, error: InvalidField) -> InvalidField:
    """The same problem, saying which keyframe has it."""
    return InvalidField(f"keyframes[{place}].{error.members['field']}", f"keyframe {place}: {error.detail}")


def journey_of(request: InterpolationRequest, spec: GeneratorSpec, directions: Directions | None) -> Journey:
    """The way that a request asks for. Raises InvalidField."""
    items = []
    for place, keyframe in enumerate(request.keyframes):
        try:
            item = _keyframe_item(keyframe, request, spec, directions)
        except InvalidField as error:
            raise _of_keyframe(place, error) from None
        if request.directions is not None and keyframe.directions is None:
            item = moved(item, request.directions, spec, directions)
        items.append(item)
    latent = np.concatenate([latents_of(item, spec) for item in items])
    class_vector = np.concatenate([item.class_vectors(spec) for item in items])
    try:
        path = LatentPath(latent, class_vector, request.frames, request.method, request.loop, request.easing)
    except ValueError as error:
        raise InvalidField("frames", str(error)) from None
    return Journey(path, tuple(items))


def _keyframe_item(
    keyframe: Keyframe, request: InterpolationRequest, spec: GeneratorSpec, directions: Directions | None
) -> WorkItem:
    if keyframe.latent is None and keyframe.seed is None:
        raise InvalidField("seed", "give either seed or latent: a keyframe draws none")
    truncation = keyframe.truncation
    if truncation is None and keyframe.latent is None:
        truncation = request.truncation
    item = _one(msgspec.structs.replace(keyframe, truncation=truncation), keyframe.latent, spec)
    return item if keyframe.directions is None else moved(item, keyframe.directions, spec, directions)


def _one(subject: Subject, latent: list[float] | None, spec: GeneratorSpec) -> WorkItem:
    """One image, not moved along directions yet. Raises InvalidField."""
    classes = class_of(subject, spec)
    if latent is not None:
        return WorkItem(classes, latent=given_latents(subject, [latent], spec))
    seed = subject.seed if subject.seed is not None else random.getrandbits(32)
    return WorkItem(classes, (seed,), None, subject.truncation)


def variations_of(
    request: VariationsRequest, spec: GeneratorSpec, settings: Settings, directions: Directions | None
) -> tuple[WorkItem, WorkItem]:
    """The image itself, and its neighbours. Raises InvalidField."""
    check_count("n", request.n, settings)
    image = _one(request, request.latent, spec)
    seeds = counted(request.variation_seed, request.n)
    others = latents(seeds, spec.latent_dim, request.truncation, spec.noise)
    near = WorkItem(image.classes, latent=neighbours(latents_of(image, spec)[0], others, request.strength))
    if request.directions is None:
        return image, near
    steering = request.directions
    return moved(image, steering, spec, directions), moved(near, steering, spec, directions)


def grid_of(
    request: GridRequest, spec: GeneratorSpec, settings: Settings, directions: Directions | None
) -> tuple[WorkItem, list[int]]:
    """Every class with every seed, class by class, and the indices of the classes. Raises InvalidField."""
    try:
        wanted: list[Label] = (
            list(range(spec.num_classes)) if request.labels == "all" else list(request.labels)
        )
        labels = [spec.class_index(label) for label in wanted]
    except UnknownLabel as error:
        raise InvalidField("labels", f"labels: {error}") from None
    check_count("seeds", len(labels) * len(request.seeds), settings)
    for field, values in (("labels", labels), ("seeds", request.seeds)):
        value, times = Counter(values).most_common(1)[0]
        if times > 1:
            raise InvalidField(field, f"{field} has {value} {times} times: once is enough")
    classes = np.repeat(spec.one_hot[labels], len(request.seeds), axis=0)
    item = WorkItem(classes, tuple(request.seeds) * len(labels), None, request.truncation)
    return item if request.directions is None else moved(item, request.directions, spec, directions), labels
