"""python -m benchmarks.guard.driver: does every workload, with a mark before and after each block.

The mark is a call of getsid(2), which nothing else here makes: valgrind is told to write down its counters
whenever that function is entered. One line of JSON a block goes to standard output, in their order.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path

import service.http
from benchmarks.guard.rig import FOREVER_MS
from benchmarks.guard.workloads import GROUP, reference_loop, workloads

WARM_UP = 4 * GROUP  # caches are full then, heads are known


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.guard.driver", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--repeats", type=int, required=True, help="blocks of each workload")
    parser.add_argument("--count", type=int, default=8 * GROUP, help="requests of a block")
    parser.add_argument("--extra", type=json.loads, default={}, help="workload -> rounds added a request")
    options = parser.parse_args(arguments)
    service.http.PATIENCE_S = FOREVER_MS / 1000  # no request is slow but for the counting
    every = workloads(options.model)
    for prepare in every.values():
        prepare(0, WARM_UP)()
    gc.collect()
    gc.freeze()  # as the service does
    for repeat in range(options.repeats):
        for name, prepare in every.items():
            run = prepare(WARM_UP + repeat * options.count, options.count)
            extra = round(options.extra.get(name, 0) * options.count)
            gc.collect()  # so that all blocks begin alike
            _mark()
            run()
            reference_loop(extra)
            _mark()
            print(json.dumps({"workload": name, "count": options.count}), flush=True)
    return 0


def _mark() -> None:
    os.getsid(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
