"""The images request of OpenAI's API: JSON -> checked fields, prompt -> class, size -> scale."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from generator.latents import MAX_SEED, MAX_TRUNCATION
from generator.spec import GeneratorSpec, UnknownLabel
from service.errors import BadRequest, InvalidField
from service.requests import MAX_SCALE, Seed, Truncation, invalid_field, plain

MAX_N = 10  # OpenAI's bound; POST /v1/images makes more at once
SHOWN = 30  # class names that an error lists

IGNORED = "accepted, and changes nothing here"
REFUSED = {
    "background": "images here have no transparency: leave it out, or say opaque",
    "stream": "images here come all at once: leave it out, or say false",
    "partial_images": "images here come all at once: leave it out, or say 0",
    "frame_count": "there are no animations here: leave it out",
    "frame_duration_ms": "there are no animations here: leave it out",
    "svg": "there are no vector images here: leave it out",
}


class GenerationsRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """OpenAI's fields; null is as good as leaving one out. `seed` and `truncation` are extensions."""

    prompt: Annotated[str, Meta(description="A class: its name, slug or index, in any case of letters")]
    model: Annotated[str | None, Meta(description="Which model; the default one if left out")] = None
    n: Annotated[Annotated[int, Meta(ge=1, le=MAX_N)] | None, Meta(description="Images (default 1)")] = None
    size: Annotated[
        str | None, Meta(description="auto (the model's own), or a whole multiple of it, such as 224x224")
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None, Meta(description="b64_json if left out; url is a permalink")
    ] = None
    output_format: Annotated[Literal["png", "jpeg", "webp"] | None, Meta(description="Default png")] = None
    output_compression: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        Meta(description="Quality of jpeg (default 90) and webp (lossless if left out)"),
    ] = None
    seed: Annotated[
        Seed | None, Meta(description="Of the first image, the next ones count up; drawn if left out")
    ] = None
    truncation: Annotated[
        Truncation | None, Meta(description="Keeps the latent's components within [-t, t]")
    ] = None
    background: Annotated[str | None, Meta(description="Only opaque and auto")] = None
    stream: Annotated[bool | None, Meta(description="Only false")] = None
    partial_images: Annotated[int | None, Meta(description="Only 0")] = None
    frame_count: Annotated[Any, Meta(description="Only null")] = None
    frame_duration_ms: Annotated[Any, Meta(description="Only null")] = None
    svg: Annotated[Any, Meta(description="Only null")] = None
    quality: Annotated[Any, Meta(description=IGNORED)] = None
    style: Annotated[Any, Meta(description=IGNORED)] = None
    moderation: Annotated[Any, Meta(description=IGNORED)] = None
    complexity: Annotated[Any, Meta(description=IGNORED)] = None
    user: Annotated[Any, Meta(description=IGNORED)] = None
    safety_identifier: Annotated[Any, Meta(description=IGNORED)] = None

    def quality_of_form(self) -> int | None:
        """1 to 100, of jpeg and webp. Raises InvalidField for png."""
        if self.output_compression is None:
            return None
        if self.output_format in (None, "png"):
            raise InvalidField(
                "output_compression", "output_compression is for output_format jpeg and webp: leave it out"
            )
        return max(1, self.output_compression)


ALLOWED = {
    "prompt": "the name of a class (a string)",
    "model": "the name of a model (a string)",
    "n": f"whole numbers from 1 to {MAX_N}; POST /v1/images makes more at once",
    "size": 'auto, or a text such as "224x224"',
    "response_format": "url or b64_json",
    "output_format": "png, jpeg or webp",
    "output_compression": "whole numbers from 0 to 100",
    "seed": f"whole numbers from 0 to {MAX_SEED}",
    "truncation": f"numbers above 0, up to {MAX_TRUNCATION:g}",
    "background": "opaque or auto",
    "stream": "false",
    "partial_images": "0",
    **dict.fromkeys(("frame_count", "frame_duration_ms", "svg"), "null"),
    **dict.fromkeys(
        ("quality", "style", "moderation", "complexity", "user", "safety_identifier"), "anything"
    ),
}

_decoder = msgspec.json.Decoder(GenerationsRequest)


def parse_generations_request(body: bytes) -> GenerationsRequest:
    """Raises BadRequest for what is no JSON, InvalidField for a wrong, unknown or refused field."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        if str(error).startswith("Object missing required field"):
            raise InvalidField("prompt", f"prompt is missing: it is {ALLOWED['prompt']}") from None
        raise invalid_field(error, plain(body), ALLOWED) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f'the body is not valid JSON: {error}. Send an object such as {{"prompt": "0"}}'
        ) from None
    for field, why in REFUSED.items():
        value = getattr(request, field)
        if value and not (field == "background" and value in ("opaque", "auto")):
            raise InvalidField(field, f"{field} {reprlib.repr(value)}: {why}")
    return request


def class_of(prompt: str, spec: GeneratorSpec) -> int:
    """The index of the class that a prompt names: by name, slug or index, trimmed, in any case of letters.

    Raises InvalidField.
    """
    word = prompt.strip()
    try:
        return spec.class_index(word)
    except UnknownLabel:
        pass
    folded = word.casefold()
    pairs = zip(spec.class_names, spec.slugs, strict=True)
    named = [index for index, (name, slug) in enumerate(pairs) if folded in (name.strip().casefold(), slug)]
    if len(named) == 1:
        return named[0]
    if not named and word.isascii() and word.isdecimal() and len(word) <= 4 and int(word) < spec.num_classes:
        return int(word)
    raise InvalidField(
        "prompt",
        f"prompt {reprlib.repr(prompt)} is {'several classes' if named else 'not a class'}: images here are "
        f"of a class, not of a text. Say one of {_names(spec)}",
    )


def _names(spec: GeneratorSpec) -> str:
    more = ", ... (GET /v1/models has them all)" if spec.num_classes > SHOWN else ""
    return f"{', '.join(spec.class_names[:SHOWN])}{more}; or an index, 0..{spec.num_classes - 1}"


def scale_of(size: str | None, image_size: int) -> int:
    """The whole factor from a model's own size to a size such as "224x224". Raises InvalidField."""
    if size is None or size == "auto":
        return 1
    width, by, height = size.partition("x")
    numbers = all(side.isascii() and side.isdecimal() and len(side) <= 6 for side in (width, height))
    if by and numbers and int(width) == int(height):
        scale, rest = divmod(int(width), image_size)
        if not rest and 1 <= scale <= MAX_SCALE:
            return scale
        near = sorted({min(max(factor, 1), MAX_SCALE) for factor in (scale, scale + 1)})
    else:
        near = [1, 8]
    raise InvalidField(
        "size",
        f"size {reprlib.repr(size)}: allowed are auto and {image_size}x{image_size} times a whole factor up "
        f"to {MAX_SCALE}, such as {' and '.join(f'{image_size * n}x{image_size * n}' for n in near)}",
    )
