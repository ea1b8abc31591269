"""python -m benchmarks.engine.child: a process that calls one engine when it is told to.

It writes a line of JSON once it is ready, {"key": ...} or {"error": ...}. For each line {"batch": 16,
"seconds": 0.5} it answers {"ms": [each call's time], "seconds": what they took together}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.subjects import Call, calls
from generator.artifact import ArtifactError
from generator.engines import EngineError

WARM_UP_S = 0.1
WARM_UP_CALLS = 3


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.engine.child", description=__doc__)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args(arguments)
    try:
        key, prepare = calls(options.engine, options.model, options.threads)
    except (ArtifactError, EngineError) as error:
        _tell({"error": str(error)})
        return 1
    _tell({"key": key})
    for line in sys.stdin:
        order = json.loads(line)
        call = prepare(order["batch"])
        _repeat(call, WARM_UP_S, WARM_UP_CALLS)
        began = time.perf_counter()
        ms = _repeat(call, order["seconds"])
        _tell({"ms": ms, "seconds": time.perf_counter() - began})
    return 0


def _tell(content: dict[str, Any]) -> None:
    with open(sys.stdout.fileno(), "w", closefd=False) as output:  # a buffer, which writes all, also where
        output.write(json.dumps(content) + "\n")  # PYTHONUNBUFFERED takes that of standard output


def _repeat(call: Call, seconds: float, least: int = 1) -> list[float]:
    """Milliseconds of each call, back to back."""
    ms: list[float] = []
    end = time.perf_counter() + seconds
    before = time.perf_counter()
    while before < end or len(ms) < least:
        call()
        after = time.perf_counter()
        ms.append((after - before) * 1000)
        before = after
    return ms


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
