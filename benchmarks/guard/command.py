"""python -m benchmarks guard: exits with 1 when a request has become a fifth dearer."""

from __future__ import annotations

import argparse

from benchmarks import document, results
from benchmarks.guard import guard
from benchmarks.guard.counting import REFERENCE, count, valgrind_version
from benchmarks.guard.guard import ALARM, Cost
from benchmarks.machine import manifest
from benchmarks.options import positive
from benchmarks.results import Json
from benchmarks.servers import ROOT
from benchmarks.tables import Table, figure
from generator.artifact import Artifact

MODEL = ROOT / "models" / "fashion"  # always the same: counts depend on sizes
COUNTED = ("python", "numpy", "uvicorn", "uvloop", "httptools", "isal", "msgspec")  # versions that matter


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=positive, default=3, help="(default: %(default)s)")
    parser.add_argument(
        "--slow-by", type=float, default=0, metavar="PERCENT", help="add work: does it alarm?"
    )
    parser.add_argument("--write", action="store_true", help="remember these counts")


def run(options: argparse.Namespace) -> int:
    """0, or 1 for an alarm. Raises CountingFailed, ResultError."""
    file = results.new_file("guard")
    about = manifest(Artifact.open(MODEL), repeats=options.repeats, slow_by_percent=options.slow_by)
    about["versions"]["valgrind"] = valgrind_version()
    before = guard.remembered() if guard.FILE.is_file() or not options.write else {}
    extra = {name: loops * options.slow_by / 100 for name, loops in before.items() if name != REFERENCE}
    found = guard.costs(count(MODEL, options.repeats, extra), before)
    result = {"manifest": about, "costs": [cost.to_json() for cost in found]}
    results.write(file, result)
    document.finish("guard", result, tables(result), file, options.write)
    if options.write:
        guard.remember(found, {name: about["versions"][name] for name in (*COUNTED, "valgrind")})
        return 0
    return int(any(cost.is_alarming for cost in found))


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
