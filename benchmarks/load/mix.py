"""A mix of requests: of each kind its share, no two alike, and each known again by its number."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from benchmarks.load.kinds import KINDS, Kind
from benchmarks.load.requests import SEEDS, posts
from benchmarks.load.target import Model, Target

LARGEST_CYCLE = 10_000


class MixError(ValueError):
    """A mix that is not understood."""


def parse(text: str) -> dict[str, int]:
    """`label=80,latent=10,n=10` -> the shares. Raises MixError."""
    shares: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z]+)\s*(?:=\s*(\d{1,4}))?\s*", part)
        if not match or match[1] not in KINDS or match[1] in shares:
            raise MixError(
                f"mix {text!r}: {part.strip()!r} is not understood; write label=80,latent=10,n=10 with each "
                f"of {', '.join(KINDS)} at most once, and whole numbers as shares"
            )
        shares[match[1]] = int(match[2] or 1)
    if not 0 < sum(shares.values()) <= LARGEST_CYCLE:
        raise MixError(f"mix {text!r}: its shares make {sum(shares.values())}; use 1 to {LARGEST_CYCLE}")
    return {name: share for name, share in shares.items() if share}


@dataclass(frozen=True)
class Asked:
    """One request of a mix."""

    kind: Kind
    label: int
    seed: int


@dataclass(frozen=True)
class Mix:
    """Calling it with a number gives that request's bytes. Plain data: it travels to other processes.

    Request i of one of several processes is number `first + step * i` of the whole load.
    """

    target: Target
    model: Model
    shares: Mapping[str, int]
    first_seed: int = 0
    first: int = 0
    step: int = 1

    def part(self, place: int, of: int, after: int) -> Mix:
        """The part of one of `of` processes, when `after` requests were sent before."""
        return replace(self, first=after + place, step=of)

    def one_of_each(self) -> list[Asked]:
        """A request of each kind, with the seeds of the first ones."""
        seeds = (self.first_seed + place * self._seeds for place in range(len(self._kinds)))
        return [Asked(kind, 0, seed % SEEDS) for kind, seed in zip(self._kinds, seeds, strict=True)]

    def __call__(self, number: int) -> bytes:
        kind, label, seed = self._at(number)
        return self._posts[kind](self._kinds[kind].body(label, seed))

    def asked(self, number: int) -> Asked:
        """What request `number` asked for."""
        kind, label, seed = self._at(number)
        return Asked(self._kinds[kind], label, seed)

    def names(self, count: int) -> npt.NDArray[np.str_]:
        """The kinds of the first `count` requests, by name."""
        names = np.array(list(self.shares))[self._cycle]
        return names[np.arange(count) % len(names)]

    def _at(self, number: int) -> tuple[int, int, int]:
        """The place of its kind among the shares, label, seed."""
        place = self.first + self.step * number
        seed = (self.first_seed + place * self._seeds) % SEEDS
        return self._cycle[number % len(self._cycle)], place % self.model.spec.num_classes, seed

    @cached_property
    def _kinds(self) -> list[Kind]:
        name = None if self.model.default else self.model.name
        return [KINDS[kind](self.model.spec, name) for kind in self.shares]

    @cached_property
    def _posts(self) -> list[Callable[[bytes], bytes]]:
        address, key = self.target.address, self.target.api_key
        return [posts(address, kind.path, accept=kind.accept, api_key=key) for kind in self._kinds]

    @cached_property
    def _seeds(self) -> int:
        """Seeds from one request to the next."""
        return max(kind.images for kind in self._kinds)

    @cached_property
    def _cycle(self) -> list[int]:
        """Kinds in the order in which they come again and again, shuffled, always the same."""
        cycle = [place for place, share in enumerate(self.shares.values()) for _ in range(share)]
        random.Random(0).shuffle(cycle)
        return cycle
