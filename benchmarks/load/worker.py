"""python -m benchmarks.load.worker: a process that loads a server, so that what measures has one to itself.

Reads pickled jobs from standard input, until that ends. For each it answers "ready" on standard output, reads
the time to begin, and answers `Done`, or `Failed`.
"""

from __future__ import annotations

import gc
import sys

from benchmarks.load.job import Failed, Job
from benchmarks.load.messages import receive, send


def main() -> int:
    gc.freeze()  # what is here stays,
    gc.disable()  # and a collection is a pause, which would be measured
    commands, answers = sys.stdin.buffer, sys.stdout.buffer

    def start() -> float:
        send(answers, "ready")
        return float(receive(commands))

    while True:
        try:
            job: Job = receive(commands)
        except EOFError:
            return 0
        try:
            answer: object = job.run(start)
        except Exception as error:
            answer = Failed(repr(error))
        send(answers, answer)
        gc.collect()


if __name__ == "__main__":
    sys.exit(main())
