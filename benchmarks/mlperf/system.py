"""What LoadGen measures: something that takes samples and later tells of each that it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Query = tuple[int, int]  # LoadGen's id of an asked sample, index of the sample
Done = Callable[[Sequence[int], Sequence[bytes]], None]  # ids, and of each the bytes of its answer


class System(Protocol):
    """`done` is called from any thread, for any part of what was issued."""

    done: Done
    failed: int  # answers that are no image; LoadGen knows of no failures

    def issue(self, queries: Sequence[Query]) -> None:
        """Takes samples, and returns at once."""

    def close(self) -> None: ...
