"""How a server is asked for images, and how its answer is read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from generator.pixels import Pixels

Headers = Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Question:
    """A POST of JSON that names a label and a seed, answered with images."""

    path: str
    template: str  # the body: %d label, %d seed
    read: Callable[[Headers, bytes], Pixels]  # an answer -> uint8 [images, H, W, C]
    images: int = 1  # seeds seed, seed + 1, ...

    def body(self, label: int, seed: int) -> bytes:
        return (self.template % (label, seed)).encode()


def read_png(headers: Headers, body: bytes) -> Pixels:
    """A PNG -> uint8 [1, H, W, C]."""
    pixels = np.asarray(Image.open(io.BytesIO(body)))
    return pixels[None] if pixels.ndim == 3 else pixels[None, ..., None]


def read_npy(headers: Headers, body: bytes) -> Pixels:
    """A NumPy array file -> uint8 [N, H, W, C]."""
    array: Pixels = np.load(io.BytesIO(body), allow_pickle=False)
    return array


def read_v2(headers: Headers, body: bytes) -> Pixels:
    """The one BYTES tensor of an Open Inference Protocol answer in binary, a PNG -> uint8 [1, H, W, C]."""
    start = int(headers["inference-header-content-length"])
    (length,) = struct.unpack_from("<I", body, start)
    return read_png(headers, body[start + 4 : start + 4 + length])


ONE_PNG = Question("/v1/images", '{"label":%d,"seed":%d}', read_png)
ONE_PNG_V2 = Question(
    "/v2/models/generator/infer",
    '{"inputs":[{"name":"label","shape":[1,1],"datatype":"INT32","data":[%d]},'
    '{"name":"seed","shape":[1,1],"datatype":"UINT32","data":[%d]}],'
    '"outputs":[{"name":"png","parameters":{"binary_data":true}}]}',
    read_v2,
)
ARRAY_OF_64 = Question("/v1/images", '{"label":%d,"seed":%d,"n":64,"format":"npy"}', read_npy, images=64)
