"""JSON -> valid, immutable work items: the only way into the batcher."""

from __future__ import annotations

import random
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from generator.latents import MAX_SEED, MAX_TRUNCATION, latents
from generator.spec import GeneratorSpec, UnknownLabel
from service.errors import BadRequest, InvalidField
from service.settings import Settings

MAX_SCALE = 64
MAX_LATENT = 100.0  # a component's absolute value; N(0, 1) itself stays below 9

Format = Literal["png", "webp", "jpeg", "json", "npy", "zip"]
Quality = Annotated[int, Meta(ge=1, le=100)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Truncation = Annotated[float, Meta(gt=0, le=MAX_TRUNCATION)]
Seed = Annotated[int, Meta(ge=0, le=MAX_SEED, description="0 to 2^32 - 1: the same image for ever")]


class ImagesRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """What to make. All fields are optional but the class: `label` or `mix`."""

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
    latent: Annotated[
        list[float | list[float]] | None,
        Meta(description="In place of the seed: one latent vector, or a list of them"),
    ] = None
    n: Annotated[AtLeastOne | None, Meta(description="Images: seeds seed, seed + 1, ... (default 1)")] = None
    truncation: Annotated[
        Truncation | None, Meta(description="Keeps the latent's components within [-t, t]")
    ] = None
    model: Annotated[str | None, Meta(description="Which model; the default one if left out")] = None
    scale: Annotated[
        int, Meta(ge=1, le=MAX_SCALE, description="Enlarges by a whole factor, nearest neighbour")
    ] = 1
    format: Annotated[
        Format | None, Meta(description="The reply's form; the Accept header's if left out")
    ] = None
    quality: Annotated[
        Quality | None, Meta(description="Of JPEG (default 90) and WebP (lossless if left out)")
    ] = None
    timeout_ms: Annotated[
        AtLeastOne | None, Meta(description="Give up when the images are not computed by then")
    ] = None


# A class's index, a class vector float32 [num_classes], or one for each image [count, num_classes].
Classes = int | npt.NDArray[np.float32]

_decoder = msgspec.json.Decoder(ImagesRequest)


class WorkItem(Struct, frozen=True, eq=False):
    """Images to make. Whoever builds one has checked it: nothing in it can fail an engine call."""

    classes: Classes
    seeds: tuple[int, ...] = ()  # one for each image; empty where latents are given
    latent: npt.NDArray[np.float32] | None = None  # [count, latent_dim]
    truncation: float | tuple[float, ...] | None = None  # of all images, or one for each; None is off

    @property
    def count(self) -> int:
        """Images, at least 1."""
        return len(self.seeds) if self.latent is None else len(self.latent)

    def rows(self, start: int, stop: int) -> WorkItem:
        """The item of the images from `start` to before `stop`."""
        part: dict[str, Any] = {}
        if not isinstance(self.classes, int) and self.classes.ndim == 2:
            part["classes"] = self.classes[start:stop]
        if isinstance(self.truncation, tuple):
            part["truncation"] = self.truncation[start:stop]
        if self.latent is not None:
            return msgspec.structs.replace(self, latent=self.latent[start:stop], **part)
        return msgspec.structs.replace(self, seeds=self.seeds[start:stop], **part)

    def bounds(self) -> Sequence[float | None]:
        """The truncation of each image."""
        return self.truncation if isinstance(self.truncation, tuple) else [self.truncation] * self.count

    def class_vectors(self, spec: GeneratorSpec) -> npt.NDArray[np.float32]:
        """The class vector of each image, float32 [count, num_classes]."""
        vector = spec.one_hot[self.classes] if isinstance(self.classes, int) else self.classes
        return np.broadcast_to(vector, (self.count, spec.num_classes))


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


def work_item(request: ImagesRequest, spec: GeneratorSpec, settings: Settings) -> WorkItem:
    """The work that a request asks of a model. Raises InvalidField."""
    classes = _classes(request, spec)
    if request.latent is not None:
        return WorkItem(classes, latent=_latent(request, spec, settings))
    count = request.n or 1
    _check_count("n", count, settings)
    first = request.seed if request.seed is not None else random.getrandbits(32)
    if count == 1:
        return WorkItem(classes, (first,), None, request.truncation)
    seeds = tuple((first + step) & MAX_SEED for step in range(count))
    return WorkItem(classes, seeds, None, request.truncation)


def batch_inputs(
    items: Sequence[WorkItem], spec: GeneratorSpec
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The graph's inputs for several items together: latent [N, D], class_vector [N, K].

    All seeds of a batch become latents in one vectorised call.
    """
    seeded = [item for item in items if item.latent is None]
    seeds = [seed for item in seeded for seed in item.seeds]
    bounds: list[float | None] | None = None
    if any(item.truncation is not None for item in seeded):
        bounds = [bound for item in seeded for bound in item.bounds()]
    drawn = latents(seeds, spec.latent_dim, bounds, spec.noise) if seeds else None
    class_vector = _class_vectors(items, spec)
    if drawn is not None and len(seeded) == len(items):
        return drawn, class_vector
    parts, used = [], 0
    for item in items:
        if item.latent is None and drawn is not None:
            parts.append(drawn[used : used + item.count])
            used += item.count
        elif item.latent is not None:
            parts.append(item.latent)
    return np.concatenate(parts), class_vector


def _class_vectors(items: Sequence[WorkItem], spec: GeneratorSpec) -> npt.NDArray[np.float32]:
    """The class vector of each image of several items, float32 [N, num_classes]."""
    alike = [(item.classes, item.count) for item in items if isinstance(item.classes, int)]
    if len(alike) == len(items):
        rows: npt.NDArray[np.float32] = spec.one_hot[[index for index, count in alike for _ in range(count)]]
        return rows
    return np.concatenate([item.class_vectors(spec) for item in items])


def _classes(request: ImagesRequest, spec: GeneratorSpec) -> Classes:
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


def _latent(request: ImagesRequest, spec: GeneratorSpec, settings: Settings) -> npt.NDArray[np.float32]:
    """The latents of a request, float32 [N, latent_dim]."""
    for field in ("seed", "truncation"):
        if getattr(request, field) is not None:
            raise InvalidField(field, f"{field} and latent exclude each other: leave one out")
    given = request.latent or []
    rows = given if given and isinstance(given[0], list) else [given]
    _check_count("latent", len(rows), settings)
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
    if request.n is not None and request.n != len(latent):
        raise InvalidField("n", f"n is {request.n} but there are {len(latent)} latents: leave n out")
    return latent.astype(np.float32)


def _check_count(field: str, count: int, settings: Settings) -> None:
    if count > settings.max_images:
        raise InvalidField(field, f"{count} images in one request: allowed are 1 to {settings.max_images}")


ALLOWED = {
    "label": "a class's name or slug (a string), or its index (a whole number)",
    "mix": 'an object of classes and weights, such as {"0": 0.7, "1": 0.3}',
    "seed": f"whole numbers from 0 to {MAX_SEED}",
    "latent": "a list of numbers, or a list of such lists",
    "n": "whole numbers from 1",
    "truncation": f"numbers above 0, up to {MAX_TRUNCATION:g}",
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
    found = f" {reprlib.repr(given[field])}" if isinstance(given, dict) and field in given else ""
    return InvalidField(field, f"{field}{found}: allowed is {allowed[field]}")


def plain(body: bytes) -> Any:
    """The JSON of a body for an error message; None where it cannot be read."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
