"""Images that requests bring: a body -> pixels as the generator's own, or a problem that says why not."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from generator.pixels import Pixels, from_pillow
from generator.spec import GeneratorSpec
from service.errors import BadRequest, BodyTooLarge, InvalidField, Problem, UnsupportedMediaType

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
JPEGS = ("JPEG", "MPO")  # Pillow's name of a phone's JPEG that has a depth map or the like behind the image
FORM = "multipart/form-data"
FIELD = "image"
MAX_SCANS = 100  # of a JPEG: cameras and programs write about ten, and each is a pass over all pixels
ENLARGED = 4  # a JPEG is read at no more than so many times the size that is needed, or a little above


def check_upload_type(content_type: str | None) -> str:
    """The Content-Type of a body that may be an image. Raises UnsupportedMediaType."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in (*FORMATS, FORM):
        raise UnsupportedMediaType(
            f"content-type {kind!r}: send the image itself as {', '.join(FORMATS)}, or as the field {FIELD} "
            f"of {FORM}"
        )
    return content_type or ""


def read_upload(body: bytes, content_type: str, spec: GeneratorSpec, max_pixels: int) -> Pixels:
    """The image of a body as the generator's own are, uint8 [H, W, C].

    Raises BadRequest for a form that is none, UnsupportedMediaType for another kind of file, BodyTooLarge
    for too many pixels, InvalidField for an image that cannot be read or is an animation.
    """
    is_form = content_type.partition(";")[0].strip().lower() == FORM
    content = _Form(content_type).image(body) if is_form else body
    if not content:
        raise InvalidField(FIELD, "the image is empty: send a PNG, JPEG or WebP file")
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS.values())) as image:
            _check(image, content, max_pixels)
            side = ENLARGED * spec.image_size
            image.draft(None, (side, side))
            return from_pillow(image, spec.image_size, spec.channels)
    except Problem:
        raise
    except UnidentifiedImageError:
        raise UnsupportedMediaType("the image is no PNG, JPEG or WebP file, or is cut short") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels("far too many", max_pixels) from None
    except Exception as error:  # decoders raise whatever they meet
        raise InvalidField(FIELD, f"the image cannot be read: {error}; is it cut short?") from None


def _check(image: Image.Image, content: bytes, max_pixels: int) -> None:
    """Before its pixels are decoded. Raises BodyTooLarge, InvalidField."""
    if image.width * image.height > max_pixels:
        raise _too_many_pixels(f"{image.width} x {image.height}", max_pixels)
    is_jpeg = image.format in JPEGS
    if not is_jpeg and (frames := getattr(image, "n_frames", 1)) > 1:
        raise InvalidField(FIELD, f"the image is an animation of {frames} frames: send one frame")
    if is_jpeg and (scans := content.count(b"\xff\xda")) > MAX_SCANS:
        raise InvalidField(FIELD, f"the image has {scans} scans: allowed are {MAX_SCANS}; save it again")


def _too_many_pixels(found: str, max_pixels: int) -> BodyTooLarge:
    return BodyTooLarge(f"the image has {found} pixels: allowed are {max_pixels:,}; make it smaller")


class _Form:
    """A form with one field, the image."""

    def __init__(self, content_type: str) -> None:
        self._boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        self._content, self._header, self._value = bytearray(), b"", b""
        self._names: list[str] = []
        self._is_whole = False

    def image(self, body: bytes) -> bytes:
        """The field's content. Raises BadRequest for what is no form, InvalidField for other fields."""
        if not self._boundary:
            raise BadRequest(f"the content-type {FORM} comes without the form's boundary")
        try:
            parser = MultipartParser(
                self._boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
                    "on_header_begin": self._begin_header,
                    "on_header_field": self._on_header,
                    "on_header_value": self._on_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._check_part,
                    "on_end": self._end,
                },
            )
            parser.write(body)
        except FormParserError as error:
            raise BadRequest(f"the body is no valid {FORM}: {error}") from None
        if not self._is_whole:
            raise BadRequest(f"the body is no whole {FORM}: it has no end")
        if not self._names:
            raise InvalidField(FIELD, f"{FIELD} is missing: the form has no field")
        return bytes(self._content)

    def _begin_part(self) -> None:
        self._names.append("")

    def _begin_header(self) -> None:
        self._header, self._value = b"", b""

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"name", b"")
            self._names[-1] = name.decode("utf-8", "replace")

    def _check_part(self) -> None:
        name = self._names[-1]
        if name != FIELD:
            raise InvalidField(
                name or FIELD,
                f"the form has the field {name!r}: allowed is {FIELD}; what else there is to say goes into "
                "the address, as in ?label=bag&refine=5",
            )
        if len(self._names) > 1:
            raise InvalidField(FIELD, f"the form has the field {FIELD} twice: send one image")

    def _end(self) -> None:
        self._is_whole = True
