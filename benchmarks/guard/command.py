"""python -m benchmarks guard: exits with 1 when a request has become a fifth dearer."""

from __future__ import annotations

import argparse

from benchmarks import document, results
from benchmarks.guard import guard
from benchmarks.guard.counting import REFERENCE, count, valgrind_version
from benchmarks.machine import manifest
from benchmarks.options import positive
from benchmarks.servers import ROOT
from generator.artifact import Artifact

MODEL = ROOT / "models" / "fashion"  # always the same: counts depend on sizes
COUNTED = ("python", "numpy", "uvicorn", "uvloop", "httptools", "isal", "msgspec")  # versions that matter


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=positive, default=3, help="(default: %(default)s)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--slow-by", type=float, default=0, metavar="PERCENT", help="added work, as a trial")
    either.add_argument("--write", action="store_true", help="remember these counts")


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
    document.finish(result, file, options.write)
    if options.write:
        guard.remember(found, {name: about["versions"][name] for name in (*COUNTED, "valgrind")})
        return 0
    return int(any(cost.is_alarming for cost in found))
