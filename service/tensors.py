"""Input tensors of the Open Inference Protocol (KServe V2): JSON or binary data -> checked arrays.

Binary data is little-endian, in the order of the inputs (Triton's "Binary Tensor Data Extension").
"""

from __future__ import annotations

import reprlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType

from service.errors import BadRequest

Tensor = npt.NDArray[Any]
Parameters = dict[str, Any]

BYTES = "BYTES"  # of text; its arrays have the dtype object
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "INT64": "<i8", "UINT32": "<u4", "UINT64": "<u8"}

_FLOATS = msgspec.json.Decoder(list[float | list[float]])
_WHOLES = msgspec.json.Decoder(list[int | list[int]])
_TEXTS = msgspec.json.Decoder(list[str | list[str]])


class InputTensor(Struct, frozen=True):
    """An input: its data in the JSON, or `binary_data_size` among its parameters."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: msgspec.Raw | UnsetType = UNSET  # decoded when it is known what it should be


@dataclass(frozen=True)
class TensorType:
    """What an input has to be."""

    name: str
    datatypes: tuple[str, ...]  # that are accepted; the first is the one that metadata declares
    row: tuple[int, ...]  # shape of one image's part: the tensor is [N, *row]; [N] will do for [N, 1]
    optional: bool = False


def read_inputs(
    inputs: Sequence[InputTensor], binary: bytes, types: Sequence[TensorType], max_rows: int
) -> dict[str, Tensor]:
    """The inputs by name, each [N, *row] with the same N, or [N] where the row is (1,).

    Raises BadRequest for what the types do not allow, for N above `max_rows`, and for missing inputs.
    """
    tensors: dict[str, Tensor] = {}
    by_name = {kind.name: kind for kind in types}
    place = 0
    for given in inputs:
        kind = by_name.get(given.name)
        if kind is None:
            raise BadRequest(f"unknown input {reprlib.repr(given.name)}: there are {', '.join(by_name)}")
        if given.name in tensors:
            raise BadRequest(f"input {given.name} is given twice: send it once")
        rows = _check_type(given, kind, max_rows)
        size = _binary_size(given, len(binary) - place)
        if size is None:
            flat = _from_json(given)
        else:
            flat = _from_binary(given, binary[place : place + size])
            place += size
        row = () if kind.row == (1,) else kind.row
        tensors[given.name] = _reshape(flat, (rows, *row), given)
        if rows != (first := len(next(iter(tensors.values())))):
            raise BadRequest(
                f"input {given.name} has {rows} rows, {next(iter(tensors))} has {first}: every input has one "
                "row for each image"
            )
    if place != len(binary):
        raise BadRequest(
            f"{len(binary) - place} bytes of binary data belong to no input: binary_data_size tells how many "
            "each has"
        )
    if missing := [kind.name for kind in types if not kind.optional and kind.name not in tensors]:
        raise BadRequest(f"input {missing[0]} is missing: required are {_required(types)}")
    return tensors


def _required(types: Sequence[TensorType]) -> str:
    return ", ".join(f"{kind.name} ({kind.datatypes[0]})" for kind in types if not kind.optional)


def _check_type(given: InputTensor, kind: TensorType, max_rows: int) -> int:
    """The number of rows."""
    if given.datatype not in kind.datatypes:
        raise BadRequest(
            f"input {kind.name} has the datatype {reprlib.repr(given.datatype)}: allowed is "
            f"{' or '.join(kind.datatypes)}"
        )
    shape = tuple(given.shape)
    if shape[1:] != kind.row and not (kind.row == (1,) and len(shape) == 1):
        wanted = ", ".join(["N", *map(str, kind.row)])
        raise BadRequest(
            f"input {kind.name} has the shape {reprlib.repr(given.shape)}: allowed is [{wanted}]"
            + (" or [N]" if kind.row == (1,) else "")
        )
    if not 1 <= shape[0] <= max_rows:
        raise BadRequest(f"input {kind.name} has {shape[0]} rows: allowed are 1 to {max_rows} in one request")
    return shape[0]


def _binary_size(given: InputTensor, left: int) -> int | None:
    """How many bytes of binary data an input has; None where its data is in the JSON."""
    parameters = given.parameters or {}
    if "shared_memory_region" in parameters:
        raise BadRequest(f"input {given.name}: there is no shared memory here, send the data in the request")
    size = parameters.get("binary_data_size")
    if (size is None) == (given.data is UNSET):
        raise BadRequest(f"input {given.name}: give either data or the parameter binary_data_size")
    if size is not None and not (type(size) is int and 0 <= size <= left):
        raise BadRequest(
            f"input {given.name} has binary_data_size {reprlib.repr(size)}: {left} bytes follow after the "
            "JSON object, whose length is in the header Inference-Header-Content-Length"
        )
    return size


def _from_json(given: InputTensor) -> Tensor:
    """The data, flat, as it was sent: nested by rows, or flat in row-major order."""
    decoder: Any = {"FP32": _FLOATS, "FP64": _FLOATS, BYTES: _TEXTS}.get(given.datatype, _WHOLES)
    try:
        values = decoder.decode(given.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"input {given.name}: data is no flat list of {given.datatype} values, nor one of lists: {error}"
        ) from None
    if any(isinstance(value, list) for value in values):
        if any(not isinstance(value, list) or len(value) != len(values[0]) for value in values):
            raise BadRequest(f"input {given.name}: the rows of data differ in length")
        values = [value for row in values for value in row]
    if given.datatype == BYTES:
        return np.array(values, object)
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which no input may be
            return np.array(values, DTYPES[given.datatype])
    except OverflowError:
        raise BadRequest(f"input {given.name}: a value does not fit into {given.datatype}") from None


def _from_binary(given: InputTensor, content: bytes) -> Tensor:
    """The data, flat."""
    if given.datatype == BYTES:
        return np.array(_texts(given, content), object)
    dtype = np.dtype(DTYPES[given.datatype])
    if len(content) % dtype.itemsize:
        raise BadRequest(
            f"input {given.name} has binary_data_size {len(content)}: {given.datatype} has {dtype.itemsize} "
            "bytes a value"
        )
    return np.frombuffer(content, dtype)


def _texts(given: InputTensor, content: bytes) -> list[str]:
    """Each text after its length in bytes, as 4 bytes."""
    texts, place = [], 0
    try:
        while place < len(content):
            (length,) = struct.unpack_from("<I", content, place)
            place += 4 + length
            if place > len(content):
                break
            texts.append(content[place - length : place].decode())
    except (struct.error, UnicodeDecodeError):
        place = -1
    if place != len(content):
        raise BadRequest(
            f"input {given.name}: each element of BYTES is its length (4 bytes) and then UTF-8 text"
        )
    return texts


def _reshape(flat: Tensor, shape: tuple[int, ...], given: InputTensor) -> Tensor:
    if flat.size != np.prod(shape):
        raise BadRequest(f"input {given.name} has {flat.size} values: its shape {given.shape} is of others")
    return flat.reshape(shape)
