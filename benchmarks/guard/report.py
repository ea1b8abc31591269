"""The guard's table."""

from __future__ import annotations

from benchmarks.guard.counting import REFERENCE
from benchmarks.guard.guard import ALARM, Cost
from benchmarks.results import Json
from benchmarks.tables import Table, figure


def tables(result: Json) -> list[Table]:
    """One line a workload."""
    found = [Cost.from_json(fields) for fields in result["costs"]]
    rows: list[tuple[str, ...]] = [
        (
            cost.workload,
            figure(cost.instructions, 0),
            figure(cost.loops, 3),
            "" if cost.before is None else f"{cost.before:.3f}",
            "new" if cost.change is None else f"{cost.change:+.1%}" + (" DEARER" if cost.is_alarming else ""),
        )
        for cost in found
    ]
    note = (
        f"Instructions of one request in one thread with an engine that costs nothing, counted by valgrind; "
        f"median and range of {result['manifest']['settings']['repeats']} repeats. In loops: held against "
        f"{REFERENCE}, counted in the same run. {ALARM:.0%} dearer fails."
    )
    dear = frozenset(place for place, cost in enumerate(found) if cost.is_alarming)
    columns = ("", "instructions", "in loops", "before", "change")
    return [Table("What a request costs", columns, rows, dear, note)]
