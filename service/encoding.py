"""uint8 pixels -> bytes: PNG, WebP, JPEG, JSON, npy, zip; and which of them a client accepts."""

from __future__ import annotations

import base64
import functools
import io
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from isal import isal_zlib
from msgspec import Struct

from generator.pixels import Pixels, contact_sheet, enlarge, to_pillow
from service.errors import NotAcceptable
from service.recipes import Recipe
from service.requests import Format

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "json": "application/json",
    "npy": "application/x-npy",
    "zip": "application/zip",
}  # in the order of preference, where a client likes several as much
SHEET_FORMS = ("png", "webp", "jpeg")  # of which several images make one picture; the others hold each
ENCODING_VERSION = 2  # counts up when the same pixels become other bytes
JPEG_QUALITY = 90
SMALL_PNG = 4096  # bytes before compression: below, ISA-L's level 1 costs several times its level 0

_PNG_COLOUR = {1: 0, 3: 2}  # channels -> the header's colour type: grey, RGB


def chunk(kind: bytes, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """A chunk of a PNG: length, kind, content, checksum."""
    return len(content).to_bytes(4), kind, content, zlib.crc32(content, zlib.crc32(kind)).to_bytes(4)


PNG_END = b"".join(chunk(b"IEND", b""))


@functools.lru_cache(maxsize=64)
def png_begin(height: int, width: int, channels: int) -> bytes:
    """Signature and header."""
    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_COLOUR[channels], 0, 0, 0)
    return b"".join((b"\x89PNG\r\n\x1a\n", *chunk(b"IHDR", header)))


class Rendering(Struct, frozen=True):
    """How finished images become a reply."""

    form: Format = "png"
    scale: int = 1  # whole factor
    quality: int | None = None  # 1 to 100, of JPEG and WebP; None: JPEG's default, WebP lossless


def encode(images: Pixels, rendering: Rendering, recipe: Recipe) -> bytes:
    """uint8 [N, H, W, C] -> the body of a reply."""
    if rendering.form not in SHEET_FORMS:
        return encode_each(images, rendering, recipe)
    picture = enlarge(images[0] if len(images) == 1 else contact_sheet(images), rendering.scale)
    return encode_picture(picture, rendering, recipe.sheet())


def encode_each(
    images: Pixels, rendering: Rendering, recipe: Recipe, names: Sequence[str] | None = None
) -> bytes:
    """As npy, JSON or zip, which hold each image; `names` of the zip's files, by seed or place without."""
    images = enlarge(images, rendering.scale)
    if rendering.form == "npy":
        return _npy(images)
    pngs = [png(image, recipe.image(place)) for place, image in enumerate(images)]
    return _json(pngs, recipe) if rendering.form == "json" else _zip(pngs, names or _names(recipe))


def encode_picture(picture: Pixels, rendering: Rendering, about: bytes) -> bytes:
    """One picture, uint8 [H, W, C], as PNG, with the text `about`, as WebP or JPEG."""
    is_png = rendering.form == "png"
    return png(picture, about) if is_png else _pillow(picture, rendering.form, rendering.quality)


def png(image: Pixels, about: bytes) -> bytes:
    """uint8 [H, W, 1 or 3] -> a PNG (ISO 15948): unfiltered rows, deflated by ISA-L.

    Faster than Pillow, for files about as large: filters gain nothing on images this small. What made
    the image, JSON in ASCII, goes into a text chunk with the keyword `mintage`.
    """
    text = chunk(b"tEXt", b"mintage\0" + about)
    return b"".join((png_begin(*image.shape), *text, *chunk(b"IDAT", png_data(image)), PNG_END))


def png_data(image: Pixels) -> bytes:
    """uint8 [H, W, C] -> what a PNG's IDAT chunk holds."""
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # before each row its filter type: none
    rows[:, 1:] = image.reshape(height, -1)
    data: bytes = isal_zlib.compress(rows, 0 if rows.nbytes < SMALL_PNG else 1)
    return data


def _json(pngs: Sequence[bytes], recipe: Recipe) -> bytes:
    """Everything needed to ask for the images again, and each as base64 with its seed."""
    entries = [
        {**recipe.entry(place), "b64_png": base64.b64encode(content).decode()}
        for place, content in enumerate(pngs)
    ]
    return msgspec.json.encode({**recipe.common(), "images": entries})


def _names(recipe: Recipe) -> list[str]:
    """By seed, or by place where latents were given."""
    places = range(recipe.item.count)
    return [f"{place:04d}.png" if (seed := recipe.seed(place)) is None else f"{seed}.png" for place in places]


def _zip(pngs: Sequence[bytes], names: Sequence[str]) -> bytes:
    """One file each; always the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in zip(names, pngs, strict=True):
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _npy(images: Pixels) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(images), allow_pickle=False)
    return buffer.getvalue()


def _pillow(picture: Pixels, form: Format, quality: int | None) -> bytes:
    buffer = io.BytesIO()
    image = to_pillow(picture)
    if form == "jpeg":
        image.save(buffer, "JPEG", quality=quality or JPEG_QUALITY)
    elif quality is None:
        image.save(buffer, "WEBP", lossless=True, method=0)
    else:
        image.save(buffer, "WEBP", quality=quality, method=0)
    return buffer.getvalue()


Form = TypeVar("Form", bound=str)


@functools.lru_cache(maxsize=256)
def negotiate(accept: str) -> Format:
    """The best form of images for an Accept header. Raises NotAcceptable."""
    return best_form(accept, MEDIA_TYPES)


def best_form(accept: str, media_types: Mapping[Form, str]) -> Form:
    """The best form for an Accept header (RFC 9110, section 12.5.1). Raises NotAcceptable.

    The most specific range decides a media type's weight; equal weights go to the first of `media_types`.
    """
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = (text.strip().lower() for text in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = min(max(float(value), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        if media_range:
            ranges["*/*" if media_range == "*" else media_range] = weight
    if not ranges:
        return next(iter(media_types))

    def weight_of(media_type: str) -> float:
        whole = media_type.split("/", maxsplit=1)[0] + "/*"
        return next((ranges[r] for r in (media_type, whole, "*/*") if r in ranges), 0.0)

    best = max(media_types, key=lambda form: weight_of(media_types[form]))
    if weight_of(media_types[best]) <= 0:
        raise NotAcceptable(
            f"Accept {reprlib.repr(accept)} allows none of the forms there are: "
            f"{', '.join(media_types.values())}"
        )
    return best
