"""Python objects through pipes between a load's processes: a length, then the pickled object.

A pipe takes and gives what it likes: with PYTHONUNBUFFERED standard output has no buffer that would ask again
until all of a large object is through, and what is left out is missed for ever.
"""

from __future__ import annotations

import pickle
import struct
from typing import IO, Any

LENGTH = struct.Struct("<Q")


def send(pipe: IO[bytes], message: object) -> None:
    """Raises BrokenPipeError when nobody reads."""
    content = pickle.dumps(message)
    left = memoryview(LENGTH.pack(len(content)) + content)
    while left:
        left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Raises EOFError when the other side has ended."""
    return pickle.loads(_read(pipe, LENGTH.unpack(_read(pipe, LENGTH.size))[0]))


def _read(pipe: IO[bytes], count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = pipe.read(count - len(content))
        if not part:
            raise EOFError
        content += part
    return bytes(content)
