"""GET /v1/images/{model}@{digest}/{class}/{seed}.png: one image, for ever, for any cache to keep.

Query parameters: `truncation`, `scale`, `quality`; `directions=0:2.5,3:-1`; `mix=sneaker:0.7,sandal:0.3` with
`mix` for the class; `latent=` (base64url of little-endian float32) with `latent` for the seed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import reprlib
from typing import Any

import numpy as np

from generator.artifact import SHORT_DIGEST, ArtifactError, read_manifest
from generator.latents import MAX_SEED
from service.encoding import ENCODING_VERSION, MEDIA_TYPES, Rendering
from service.errors import Gone, InvalidField, NotFound, Unready
from service.http import Receive, Scope, Send, cancelled_on_disconnect, header, send_reply
from service.models import Models, ServedModel
from service.query import query_of
from service.requests import Format, ImagesRequest, images_request, work_item
from service.routes.images import make
from service.work import WorkItem

SUFFIXES: dict[str, Format] = {"png": "png", "webp": "webp", "jpg": "jpeg"}
PARAMETERS = ("truncation", "scale", "quality", "directions", "mix", "latent")
FOR_EVER = b"max-age=31536000, immutable"
ASK_AGAIN = b"no-cache"


async def get_image(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request, with 304 where the client has the image. Raises Problem."""
    parts, settings = scope["path_params"], models.settings
    model, pinned = _model(models, parts["model"])
    stem, _, suffix = parts["file"].rpartition(".")
    if suffix not in SUFFIXES:
        raise NotFound(f"{parts['file']}: the name ends with .{', .'.join(SUFFIXES)}")
    request = _request(query_of(scope, PARAMETERS), parts["label"], stem, model)
    item = work_item(request, model.spec, settings, model.directions)
    rendering = Rendering(SUFFIXES[suffix], request.scale, request.quality)
    tag = _entity_tag(model, item, rendering)
    whose = b"private, " if settings.is_closed else b"public, "
    caching = [(b"etag", tag.encode()), (b"cache-control", whose + FOR_EVER if pinned else ASK_AGAIN)]
    if _has(header(scope, b"if-none-match"), tag):
        await send_reply(send, 304, None, b"", caching)
        return
    with cancelled_on_disconnect(receive):
        content, headers = await make(model, item, rendering, settings, settings.timeout_ms / 1000)
    await send_reply(send, 200, MEDIA_TYPES[rendering.form], content, [*caching, *headers])


def _model(models: Models, text: str) -> tuple[ServedModel, bool]:
    """The model of a link, and whether the link pins its version. Raises NotFound, Gone, Unready."""
    name, at, digest = text.partition("@")
    model = models.find(name)
    if at and digest != model.artifact.manifest.digest[:SHORT_DIGEST]:
        if digest == _digest_on_disk(model):
            raise Unready(f"{text} is being loaded: ask again in a second")
        raise Gone(f"{text} is no longer served: {model.id} is, and makes other images")
    return model, bool(at)


def _digest_on_disk(model: ServedModel) -> str:
    """Of a version that this worker has not switched to yet, where another may have."""
    try:
        return read_manifest(model.artifact.opened_by).digest[:SHORT_DIGEST]
    except (ArtifactError, OSError):
        return ""


def _request(query: dict[str, str], label: str, stem: str, model: ServedModel) -> ImagesRequest:
    """The same request as POST /v1/images would take. Raises NotFound, InvalidField."""
    fields: dict[str, Any] = {key: query[key] for key in ("truncation", "scale", "quality") if key in query}
    if "mix" in query:
        _check_word("mix", label, "class")
        fields["mix"] = _numbers("mix", query["mix"], "slug:weight, as in sneaker:0.7,sandal:0.3")
    else:
        fields["label"] = _label(label, model)
    if "directions" in query:
        how = "index:coefficient, as in 0:2.5,3:-1"
        fields["directions"] = _numbers("directions", query["directions"], how)
    if "latent" in query:
        _check_word("latent", stem, "seed")
        fields["latent"] = _latent(query["latent"])
    elif _is_number(stem):
        fields["seed"] = int(stem)
    else:
        raise NotFound(f"{reprlib.repr(stem)} is no seed: use 0 to 4294967295, or `latent` with ?latent=")
    return images_request(fields, strict=False)


def _label(text: str, model: ServedModel) -> int:
    """In a link a number is the index and a word the slug."""
    slugs = model.spec.slugs
    if text in slugs:
        return slugs.index(text)
    if _is_number(text) and int(text) < len(slugs):
        return int(text)
    raise NotFound(
        f"{reprlib.repr(text)} is not a class of {model.name}: use 0..{len(slugs) - 1} or one of "
        f"{', '.join(slugs[:12])}"
    )


def _is_number(text: str) -> bool:
    """Decimal digits, no more than a seed has."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_SEED))


def _check_word(word: str, found: str, part: str) -> None:
    if found != word:
        raise InvalidField(word, f"with ?{word}= the link has the word {word} for its {part}, not {found!r}")


def _numbers(parameter: str, text: str, how: str) -> dict[str, float]:
    """name:number,name:number -> the number of each name. Raises InvalidField."""
    numbers: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.rpartition(":")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise InvalidField(parameter, f"{parameter} {reprlib.repr(part)}: use {how}") from None
    return numbers


def _latent(text: str) -> list[float]:
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        latent: list[float] = np.frombuffer(content, "<f4").astype(float).tolist()
    except (binascii.Error, ValueError):
        raise InvalidField("latent", "latent is not base64url of little-endian float32 numbers") from None
    return latent


def _entity_tag(model: ServedModel, item: WorkItem, rendering: Rendering) -> str:
    """Names the bytes of a reply without making them: everything that they depend on."""
    depends_on = hashlib.sha256()
    for part in (model.artifact.manifest.digest, model.engine.key, item.seeds, item.truncation, rendering):
        depends_on.update(f"{part}\n".encode())
    depends_on.update(item.class_vectors(model.spec)[0].tobytes())
    depends_on.update(b"" if item.latent is None else item.latent.tobytes())
    return f'"{ENCODING_VERSION}-{depends_on.hexdigest()[:32]}"'


def _has(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison (RFC 9110, section 13.1.2)."""
    known = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return tag in known or known == ["*"]
