"""uint8 pixels -> bytes: PNG, WebP, JPEG, JSON, npy, zip; and which of them a client accepts."""

from __future__ import annotations

import base64
import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from isal import isal_zlib
from PIL import Image

from generator.pixels import Pixels, contact_sheet, enlarge
from service.errors import NotAcceptable
from service.requests import Format

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "json": "application/json",
    "npy": "application/x-npy",
    "zip": "application/zip",
}  # in the order of preference, where a client likes several as much
JPEG_QUALITY = 90
PNG_LEVEL = 1  # of ISA-L: its second fastest; higher ones gain little on images this small

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR = {1: 0, 3: 2}  # channels -> the header's colour type: grey, RGB


def png(image: Pixels) -> bytes:
    """uint8 [H, W, 1 or 3] -> a PNG (ISO 15948): unfiltered rows, deflated by ISA-L.

    Faster than Pillow, for files about as large: filters gain nothing on images this small.
    """
    height, width, channels = image.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = 0  # filter type: none
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_COLOUR[channels], 0, 0, 0)
    data = isal_zlib.compress(rows.tobytes(), PNG_LEVEL)
    return b"".join((_PNG_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))


def encode(
    images: Pixels, form: Format, scale: int, seeds: Sequence[int | None], about: dict[str, Any]
) -> bytes:
    """uint8 [N, H, W, C] -> the body of a reply; `about` goes into the JSON beside the images."""
    if form == "npy":
        return _npy(enlarge(images, scale))
    if form == "json":
        encoded = [png(image) for image in enlarge(images, scale)]
        entries = [
            {"seed": seed, "b64_png": base64.b64encode(content).decode()}
            for seed, content in zip(seeds, encoded, strict=True)
        ]
        return msgspec.json.encode({**about, "images": entries})
    if form == "zip":
        return _zip(enlarge(images, scale), seeds)
    picture = enlarge(images[0] if len(images) == 1 else contact_sheet(images), scale)
    return png(picture) if form == "png" else _pillow(picture, form)


def _npy(images: Pixels) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(images), allow_pickle=False)
    return buffer.getvalue()


def _zip(images: Pixels, seeds: Sequence[int | None]) -> bytes:
    """One PNG each, named by seed, or by place where latents were given; always the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for place, (image, seed) in enumerate(zip(images, seeds, strict=True)):
            name = f"{place:04d}.png" if seed is None else f"{seed}.png"
            archive.writestr(zipfile.ZipInfo(name), png(image))
    return buffer.getvalue()


def _pillow(picture: Pixels, form: Format) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    if form == "webp":
        image.save(buffer, "WEBP", lossless=True, method=0)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


@functools.lru_cache(maxsize=256)
def negotiate(accept: str) -> Format:
    """The best form for an Accept header (RFC 9110, section 12.5.1). Raises NotAcceptable.

    The most specific range decides a media type's weight; equal weights go to the first of MEDIA_TYPES.
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
            ranges[media_range] = weight
    if not ranges:
        return "png"

    def weight_of(media_type: str) -> float:
        whole = media_type.split("/", maxsplit=1)[0] + "/*"
        return next((ranges[r] for r in (media_type, whole, "*/*") if r in ranges), 0.0)

    best = max(MEDIA_TYPES, key=lambda form: weight_of(MEDIA_TYPES[form]))
    if weight_of(MEDIA_TYPES[best]) <= 0:
        raise NotAcceptable(
            f"Accept {accept!r} allows none of the forms there are: {', '.join(MEDIA_TYPES.values())}"
        )
    return best
