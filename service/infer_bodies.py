"""Bodies of the Open Inference Protocol (KServe V2): bytes -> inference request, images -> reply.

A body is a JSON object, with binary data after it where a tensor asks for that; then the header
Inference-Header-Content-Length has the length of the JSON (Triton's "Binary Tensor Data Extension").
"""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from generator.pixels import Pixels
from generator.spec import IMAGES
from service.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from service.http import JSON, Headers
from service.tensors import InputTensor

OCTETS = "application/octet-stream"
MAX_JSON_VALUES = 4_000_000  # of a reply: each one costs several bytes and becomes a Python number

# What zlib calls the encodings of RFC 9110; deflate is the zlib format there.
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class OutputTensor(Struct, frozen=True):
    """An output that the client wants; `binary_data` among its parameters says in which form."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(Struct, frozen=True):
    """The $inference_request of the protocol. What it does not know is ignored, as are unknown parameters."""

    inputs: list[InputTensor]
    outputs: list[OutputTensor] | None = None
    id: str = ""
    parameters: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(InferRequest)


def decompress(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body as it was before `Content-Encoding`; nothing is unpacked beyond `limit` bytes.

    Raises UnsupportedMediaType, BadRequest, BodyTooLarge.
    """
    encoding = (encoding or "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in _WINDOW:
        raise UnsupportedMediaType(
            f"content-encoding {reprlib.repr(encoding)}: allowed are gzip, deflate, or none",
            headers={"accept-encoding": "gzip, deflate"},
        )
    stream = zlib.decompressobj(_WINDOW[encoding])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is not {encoding}, as content-encoding says: {error}") from None
    if len(content) > limit:
        raise BodyTooLarge(f"the body unpacks to more than {limit} bytes: send fewer rows in one request")
    if not stream.eof or stream.unused_data:
        raise BadRequest(f"the body is not one whole {encoding} stream, as content-encoding says")
    return content


def parse_infer_request(body: bytes, header_length: str | None) -> tuple[InferRequest, bytes]:
    """The request, and the binary data after it. Raises BadRequest."""
    length = len(body)
    if header_length is not None:
        digits = header_length.isascii() and header_length.isdecimal() and len(header_length) < 12
        if not digits or int(header_length) > length:
            raise BadRequest(
                f"Inference-Header-Content-Length {reprlib.repr(header_length)}: it is the length of the "
                f"JSON object at the beginning of the body, which has {length} bytes in all"
            )
        length = int(header_length)
    try:
        return _decoder.decode(body[:length]), body[length:]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"the body is no inference request: {error}. Send a JSON object with a list of inputs; binary "
            "data after it needs the header Inference-Header-Content-Length"
        ) from None


def wants_binary(request: InferRequest) -> bool:
    """Whether the images are to be binary data. Raises BadRequest for outputs that there are not."""
    default = _flag(request.parameters, "binary_data_output", False)
    outputs = request.outputs or [OutputTensor(IMAGES)]
    for output in outputs:
        if output.name != IMAGES:
            raise BadRequest(f"unknown output {reprlib.repr(output.name)}: the only one is {IMAGES}")
        for refused in ("classification", "shared_memory_region"):
            if (output.parameters or {}).get(refused):
                raise BadRequest(f"output {IMAGES}: {refused} is not to be had here, leave it out")
    if len(outputs) > 1:
        raise BadRequest(f"output {IMAGES} is asked for {len(outputs)} times: once will do")
    return _flag(outputs[0].parameters, "binary_data", default)


def _flag(parameters: Mapping[str, Any] | None, name: str, default: bool) -> bool:
    value = (parameters or {}).get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"parameter {name} is {reprlib.repr(value)}: allowed are true and false")
    return value


def check_reply_size(values: int, binary: bool) -> None:
    """Raises BadRequest for more values than are told as JSON."""
    if not binary and values > MAX_JSON_VALUES:
        raise BadRequest(
            f"{values:,} values are too many for JSON (at most {MAX_JSON_VALUES:,}): set the parameter "
            f"binary_data of the output {IMAGES} to true, or send fewer rows"
        )


def infer_reply(
    images: Pixels, about: Mapping[str, Any], request: InferRequest, binary: bool
) -> tuple[str, bytes, Headers]:
    """Media type, body and headers of uint8 [N, H, W, C]; `about` has the model's name and version."""
    output: dict[str, Any] = {"name": IMAGES, "datatype": "UINT8", "shape": images.shape}
    output |= (
        {"parameters": {"binary_data_size": images.nbytes}} if binary else {"data": images.ravel().tolist()}
    )
    reply = {**about, **({"id": request.id} if request.id else {}), "outputs": [output]}
    content = msgspec.json.encode(reply)
    if not binary:
        return JSON, content, []
    length = (b"inference-header-content-length", str(len(content)).encode())
    return OCTETS, content + images.tobytes(), [length]
