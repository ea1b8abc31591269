"""python -m benchmarks.load.worker: a process that loads a server, so that what measures has one to itself.

Reads pickled jobs from standard input, until that ends. For each it answers "ready" on standard output, reads
the time to begin, and answers `Done`, or `Failed`.
"""

from __future__ import annotations

import gc
import pickle
import sys

from benchmarks.load.job import Failed, Job


def main() -> int:
    gc.freeze()  # what is here stays,
    gc.disable()  # and a collection is a pause, which would be measured
    commands, answers = sys.stdin.buffer, sys.stdout.buffer

    def tell(answer: object) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    def start() -> float:
        tell("ready")
        return float(pickle.load(commands))

    while True:
        try:
            job: Job = pickle.load(commands)
        except EOFError:
            return 0
        try:
            tell(job.run(start))
        except Exception as error:
            tell(Failed(repr(error)))
        gc.collect()


if __name__ == "__main__":
    sys.exit(main())
