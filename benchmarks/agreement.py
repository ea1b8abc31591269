"""Two runs of the same comparison: do the order of the servers and the ratios hold on another day?

A ratio holds when its ranges in the two runs overlap. The order of two servers holds unless each run tells
them apart, the one this way round and the other that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from benchmarks.comparison import CONNECTIONS, against, complete
from benchmarks.mintage import NAME
from benchmarks.repeats import Spread
from benchmarks.results import Json, ResultError
from benchmarks.tables import Table

MOVED = "moved"
ALIKE = ("model", "seconds", "variants")  # what two runs must have in common


@dataclass(frozen=True)
class Pair:
    """Our requests a second divided by a server's, in the one run and in the other."""

    server: str
    connections: int
    first: Spread
    second: Spread

    @property
    def holds(self) -> bool:
        return not (self.first.is_below(self.second) or self.second.is_below(self.first))


def pairs(first: Json, second: Json) -> list[Pair]:
    """The servers that both runs have measured, in the first one's order.

    Raises ResultError for none, and for runs that measured different things.
    """
    if "visits" not in first or "visits" not in second:
        raise ResultError("these are not two comparisons with peers, which python -m benchmarks peers writes")
    if different := [name for name in ALIKE if _about(first)[name] != _about(second)[name]]:
        raise ResultError(f"the two runs differ in {', '.join(different)}: they cannot agree")
    if NAME not in complete(first) or NAME not in complete(second):
        raise ResultError(f"{NAME} is not in both results")
    found = [
        Pair(name, count, against(first, name, count), against(second, name, count))
        for name in complete(first)
        if name in complete(second) and name != NAME
        for count in CONNECTIONS
    ]
    if not found:
        raise ResultError("the two results have no server in common")
    return found


def _about(result: Json) -> Json:
    manifest = result["manifest"]
    settings = manifest["settings"]
    named = (manifest["generator"]["id"], settings["seconds"], sorted(settings["encoders"]))
    return dict(zip(ALIKE, named, strict=True))


def alone(first: Json, second: Json) -> list[str]:
    """The servers that only one of the runs has measured."""
    return sorted({*complete(first)} ^ {*complete(second)})


def reversals(found: list[Pair]) -> Iterator[tuple[Pair, Pair]]:
    """Servers of which one answers more requests in the first run, and the other one in the second."""
    for one, other in combinations(found, 2):
        if one.connections != other.connections:
            continue
        if (one.first.is_below(other.first) and other.second.is_below(one.second)) or (
            other.first.is_below(one.first) and one.second.is_below(other.second)
        ):
            yield one, other


def holds(found: list[Pair]) -> bool:
    """All ratios, and the order."""
    return all(pair.holds for pair in found) and not any(reversals(found))


def table(found: list[Pair]) -> Table:
    """A row for each server, its ratios of both runs; what does not hold is marked and counted."""
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(pair.server for pair in found):
        of_server = [pair for pair in found if pair.server == name]
        rows.append((name, *map(_cell, of_server)))
    turned = [f"{one.server} and {other.server} at {one.connections}" for one, other in reversals(found)]
    note = (
        f"Medians of the first run / of the second. {sum(pair.holds for pair in found)} of {len(found)} "
        f"ratios hold: their ranges overlap; {MOVED}: they don't. "
        f"Order turned round: {', '.join(turned) or 'none'}."
    )
    columns = tuple(f"at {count}" for count in CONNECTIONS)
    return Table(f"{NAME} / server, requests a second, twice", ("server", *columns), rows, note=note)


def _cell(pair: Pair) -> str:
    return f"{pair.first.median:.2f} / {pair.second.median:.2f}" + ("" if pair.holds else f" {MOVED}")
