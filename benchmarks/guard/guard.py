"""Is a request dearer than it was? Instructions, held against those of a loop counted in the same run.

Instructions change with versions of Python and of libraries, and with the processor's instruction set. Those
of the loop change with them, and so the ratio of the two is what is remembered and compared.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.guard.counting import REFERENCE, Counts
from benchmarks.repeats import Spread, ratio
from benchmarks.results import ResultError, write

FILE = Path(__file__).with_name("reference.json")
AGAIN = "python -m benchmarks guard --write"
ALARM = 0.20  # as much dearer, and the guard fails


@dataclass(frozen=True)
class Cost:
    """What one request of a workload costs."""

    workload: str
    instructions: Spread
    loops: Spread  # in rounds of the reference loop
    before: float | None = None  # the loops that are remembered; None: of a workload that is new

    @property
    def change(self) -> float | None:
        """How much dearer than before: 0.25 is a quarter."""
        return None if self.before is None else self.loops.median / self.before - 1

    @property
    def is_alarming(self) -> bool:
        return self.change is not None and self.change >= ALARM

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Cost:
        spreads = {name: Spread(**fields[name]) for name in ("instructions", "loops")}
        return cls(**{**fields, **spreads})


def costs(counts: Counts, remembered: dict[str, float]) -> list[Cost]:
    """Each workload's, with what it cost before."""
    loop = counts[REFERENCE]
    return [
        Cost(name, Spread.of(values), ratio(values, loop), remembered.get(name))
        for name, values in counts.items()
    ]


def remembered(file: Path = FILE) -> dict[str, float]:
    """Workload -> loops. Raises ResultError where nothing is remembered."""
    if not file.is_file():
        raise ResultError(f"{file} is not there, so there is nothing to compare with: {AGAIN}")
    loops: dict[str, float] = json.loads(file.read_text())["loops"]
    return loops


def remember(found: list[Cost], versions: dict[str, str], file: Path = FILE) -> None:
    """Stores what the next run is compared with; the versions and instructions are for readers."""
    content = {
        "versions": versions,
        "instructions": {cost.workload: round(cost.instructions.median) for cost in found},
        "loops": {cost.workload: round(cost.loops.median, 4) for cost in found},
    }
    write(file, content)
