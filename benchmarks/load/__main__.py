"""python -m benchmarks.load: one open loop of requests for images, its report as JSON.

A process of its own, so that what measures has an interpreter to itself.
"""

from __future__ import annotations

import argparse
import json
import sys

import uvloop

from benchmarks.load.client import LoadClient
from benchmarks.load.outcome import NOTHING_DUE, Outcome
from benchmarks.load.priority import prompt
from benchmarks.load.requests import ImageRequests
from benchmarks.load.schedule import poisson
from benchmarks.questions import ONE_PNG


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of a server on 127.0.0.1")
    parser.add_argument("--classes", type=int, required=True, help="labels go round from 0 to this")
    parser.add_argument("--rate", type=float, help="Poisson arrivals a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="(default: %(default)g)")
    parser.add_argument("--count", type=int, help="in place of --rate: a closed loop of so many requests")
    parser.add_argument("--connections", type=int, default=8192, help="at most (default: %(default)s)")
    parser.add_argument("--timeout-ms", type=float, default=10_000, help="later answers are no good ones")
    parser.add_argument("--together-ms", type=float, default=0.0, help="requests due so close go out at once")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--random-seed", type=int, default=0, help="of the arrivals")
    options = parser.parse_args(arguments)
    if (options.rate is None) == (options.count is None):
        parser.error("give --rate (open loop) or --count (closed loop)")
    with prompt():
        outcome = uvloop.run(_load(options))
    if not len(outcome.due):
        parser.error(NOTHING_DUE)
    seconds = options.seconds if options.rate else float(outcome.done.max())
    print(json.dumps(outcome.report(seconds, options.timeout_ms)))
    return 0


async def _load(options: argparse.Namespace) -> Outcome:
    requests = ImageRequests(
        options.port, ONE_PNG.path, ONE_PNG.template, options.classes, options.first_seed
    )
    client = LoadClient(options.port, requests, options.connections, together_s=options.together_ms / 1000)
    drain_s = options.timeout_ms / 1000 + 5
    if options.count:
        return await client.closed_loop(options.count, options.connections, drain_s + options.count / 10)
    return await client.open_loop(poisson(options.rate, options.seconds, options.random_seed), drain_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
