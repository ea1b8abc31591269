"""JSON -> valid, immutable work items: the only way into the batcher."""

from __future__ import annotations

import random
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from generator.directions import MAX_COEFFICIENT, Directions
from generator.latents import MAX_SEED, MAX_TRUNCATION
from generator.spec import GeneratorSpec, UnknownLabel
from service.errors import BadRequest, InvalidField
from service.settings import Settings
from service.work import Classes, WorkItem, latents_of

MAX_SCALE = 64
MAX_LATENT = 100.0  # a component's absolute value; N(0, 1) itself stays below 9

Format = Literal["png", "webp", "jpeg", "json", "npy", "zip"]
ReplyFormat = Annotated[Format, Meta(description="The reply's form; the Accept header's if left out")]
Quality = Annotated[
    int, Meta(ge=1, le=100, description="Of JPEG (default 90) and WebP (lossless if left out)")
]
AtLeastOne = Annotated[int, Meta(ge=1)]
ModelName = Annotated[str, Meta(description="Which model; the default one if left out")]
Scale = Annotated[int, Meta(ge=1, le=MAX_SCALE, description="Enlarges by a whole factor, nearest neighbour")]
Timeout = Annotated[int, Meta(ge=1, description="Give up when the images are not computed by then")]
Truncation = Annotated[float, Meta(gt=0, le=MAX_TRUNCATION)]
Seed = Annotated[int, Meta(ge=0, le=MAX_SEED, description="0 to 2^32 - 1: the same image for ever")]
Coefficient = Annotated[float, Meta(ge=-MAX_COEFFICIENT, le=MAX_COEFFICIENT)]
Coefficients = Annotated[
    dict[str, Coefficient],
    Meta(description="Directions by index -> coefficient: moves latents by coefficient x unit direction"),
]


class Subject(Struct, forbid_unknown_fields=True, frozen=True):
    """What an image is of: a class, `label` or `mix`, and a place in latent space."""

    label: Annotated[
        str | int | None, Meta(description="A class by name, slug (string) or index (integer)")
    ] = None
    mix: Annotated[
        dict[str, float] | None,
        Meta(description="A mixture of classes: name, slug or index -> weight, normalised"),
    ] = None
    seed: Annotated[
        Seed | None, Meta(description="Of the first image; drawn and told in X-Seed if left out")
    ] = None
    truncation: Annotated[
        Truncation | None, Meta(description="Keeps the latent's components within [-t, t]")
    ] = None
    directions: Coefficients | None = None


class ImagesRequest(Subject, forbid_unknown_fields=True, frozen=True):
    """What to make. All fields are optional but the class: `label` or `mix`."""

    latent: Annotated[
        list[float | list[float]] | None,
        Meta(description="In place of the seed: one latent vector, or a list of them"),
    ] = None
    n: Annotated[AtLeastOne | None, Meta(description="Images: seeds seed, seed + 1, ... (default 1)")] = None
    model: ModelName | None = None
    scale: Scale = 1
    format: ReplyFormat | None = None
    quality: Quality | None = None
    timeout_ms: Timeout | None = None


_decoder = msgspec.json.Decoder(ImagesRequest)


def images_request(fields: dict[str, Any], strict: bool = True) -> ImagesRequest:
    """The request of given fields; numbers may be text where not strict. Raises InvalidField."""
    try:
        return msgspec.convert(fields, ImagesRequest, strict=strict)
    except msgspec.ValidationError as error:
        raise invalid_field(error, fields) from None


def parse_images_request(body: bytes) -> ImagesRequest:
    """Raises BadRequest for what is no JSON, InvalidField for a wrong, unknown or ill-typed field."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(error, plain(body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f'the body is not valid JSON: {error}. Send an object such as {{"label": 0}}'
        ) from None


def work_item(
    request: ImagesRequest, spec: GeneratorSpec, settings: Settings, directions: Directions | None = None
) -> WorkItem:
    """The work that a request asks of a model, whose directions are given. Raises InvalidField."""
    classes = class_of(request, spec)
    if request.latent is not None:
        item = WorkItem(classes, latent=_latents_of(request, spec, settings))
    else:
        count = request.n or 1
        check_count("n", count, settings)
        first = request.seed if request.seed is not None else random.getrandbits(32)
        seeds = (first,) if count == 1 else counted(first, count)
        item = WorkItem(classes, seeds, None, request.truncation)
    return item if request.directions is None else moved(item, request.directions, spec, directions)


def counted(first: int, count: int) -> tuple[int, ...]:
    """Seeds from the first one on, wrapping."""
    return tuple((first + step) & MAX_SEED for step in range(count))


def moved(
    item: WorkItem, coefficients: Mapping[str, float], spec: GeneratorSpec, directions: Directions | None
) -> WorkItem:
    """An item whose latents are moved along a model's directions. Raises InvalidField."""
    if directions is None:
        raise InvalidField(
            "directions",
            "this model has no directions: leave them out; `python -m export complete` adds them",
        )
    try:
        chosen = {_index(name, len(directions)): number for name, number in coefficients.items()}
        latent = directions.moved(latents_of(item, spec), chosen)
    except ValueError as error:
        raise InvalidField("directions", str(error)) from None
    return msgspec.structs.replace(item, latent=latent, directions=chosen if item.seeds else None)


def _index(name: str, count: int) -> int:
    """Raises ValueError."""
    if not name.isdecimal() or name != str(int(name[:5])):
        raise ValueError(f"directions has {reprlib.repr(name)}: this model has the directions 0..{count - 1}")
    return int(name)


def class_of(request: Subject, spec: GeneratorSpec) -> Classes:
    """The class or the mixture that is asked for. Raises InvalidField."""
    if (request.label is None) == (request.mix is None):
        raise InvalidField(
            "label",
            f"give either label (a class: 0..{spec.num_classes - 1} or one of "
            f"{', '.join(spec.class_names[:12])}) or mix (several classes with weights), and not both",
        )
    if request.label is not None:
        try:
            return spec.class_index(request.label)
        except UnknownLabel as error:
            raise InvalidField("label", str(error)) from None
    try:
        return spec.mix_vector(request.mix or {})
    except ValueError as error:  # UnknownLabel is one
        raise InvalidField("mix", str(error)) from None


def _latents_of(request: ImagesRequest, spec: GeneratorSpec, settings: Settings) -> npt.NDArray[np.float32]:
    """The latents that a request gives, float32 [N, latent_dim]. Raises InvalidField."""
    given = request.latent or []
    rows = given if given and isinstance(given[0], list) else [given]
    check_count("latent", len(rows), settings)
    latent = given_latents(request, rows, spec)
    if request.n is not None and request.n != len(latent):
        raise InvalidField("n", f"n is {request.n} but there are {len(latent)} latents: leave n out")
    return latent


def given_latents(request: Subject, rows: list[Any], spec: GeneratorSpec) -> npt.NDArray[np.float32]:
    """Latents as lists, checked; float32 [N, latent_dim]. Raises InvalidField."""
    for field in ("seed", "truncation"):
        if getattr(request, field) is not None:
            raise InvalidField(field, f"{field} and latent exclude each other: leave one out")
    for row in rows:
        if not isinstance(row, list) or any(isinstance(value, list) for value in row):
            found = "numbers and vectors side by side"
        elif len(row) != spec.latent_dim:
            found = f"{len(row)} components"
        else:
            continue
        raise InvalidField(
            "latent",
            f"latent has {found}: allowed are vectors of {spec.latent_dim} numbers, one or a list of them",
        )
    latent = np.array(rows, np.float64)
    if not np.all(np.abs(latent) <= MAX_LATENT):
        worst = latent.flat[np.argmax(np.abs(latent))]
        raise InvalidField(
            "latent",
            f"latent has the component {worst:g}: allowed are -{MAX_LATENT:g}..{MAX_LATENT:g}",
        )
    return latent.astype(np.float32)


def check_count(field: str, count: int, settings: Settings) -> None:
    """Raises InvalidField for more images than one request may ask for."""
    if count > settings.max_images:
        raise InvalidField(field, f"{count} images in one request: allowed are 1 to {settings.max_images}")


ALLOWED = {
    "label": "a class's name or slug (a string), or its index (a whole number)",
    "mix": 'an object of classes and weights, such as {"0": 0.7, "1": 0.3}',
    "seed": f"whole numbers from 0 to {MAX_SEED}",
    "latent": "a list of numbers, or a list of such lists",
    "truncation": f"numbers above 0, up to {MAX_TRUNCATION:g}",
    "directions": f'an object of indices and coefficients within +-{MAX_COEFFICIENT:g}, as in {{"0": 2.5}}',
    "n": "whole numbers from 1",
    "model": "the name of a model (a string)",
    "scale": f"whole numbers from 1 to {MAX_SCALE}",
    "format": ", ".join(get_args(Format)),
    "quality": "whole numbers from 1 to 100",
    "timeout_ms": "whole numbers from 1",
}


def invalid_field(
    error: msgspec.ValidationError, given: Any, allowed: Mapping[str, str] = ALLOWED
) -> InvalidField:
    """The problem behind msgspec's message, such as "Expected `int`, got `str` - at `$.n`".

    `allowed` has the values that each field of the request may have.
    """
    message, _, path = str(error).partition(" - at `$")
    field = re.split(r"[.\[]", path.strip("`.") + ".")[0]
    if message.startswith("Object contains unknown field"):
        field = message.split("`")[1]
        return InvalidField(field, f"unknown field {field!r}: allowed are {', '.join(allowed)}")
    if field not in allowed:
        return InvalidField(field, f"the body is not an object: {message[0].lower()}{message[1:]}")
    is_readable = isinstance(given, dict) and field in given  # not so with a number like 1e999
    found = f" {reprlib.repr(given[field])}" if is_readable else f" ({message[0].lower()}{message[1:]})"
    return InvalidField(field, f"{field}{found}: allowed is {allowed[field]}")


def plain(body: bytes) -> Any:
    """The JSON of a body for an error message; None where it cannot be read."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
