"""The samples that LoadGen asks for by index: labels in turn, every seed once."""

from __future__ import annotations

from dataclasses import dataclass

COUNT = 4096  # of the library: each has its image checked in an accuracy run


@dataclass(frozen=True)
class Samples:
    """What an index stands for."""

    num_classes: int
    count: int = COUNT

    def label(self, index: int) -> int:
        return index % self.num_classes

    def seed(self, index: int) -> int:
        return index
