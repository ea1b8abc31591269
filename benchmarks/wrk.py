"""Peak throughput with wrk: a closed loop, which asks again as soon as it is answered.

A closed loop hides queueing, so its latencies are those of a server that is always as busy as its clients
are many. Latency under a given load is measured in an open loop: `benchmarks.load`. wrk 4.1 also corrects its
histogram for coordinated omission: for an answer that took more than twice the mean it adds the answers that
would have waited meanwhile, so a few slow answers weigh more in its percentiles than they are in number.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.questions import Question

SCRIPT = Path(__file__).with_name("wrk.lua")


class WrkError(RuntimeError):
    """wrk is missing or failed."""


@dataclass(frozen=True)
class Measured:
    """One run of wrk."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int  # answers with a status from 400 up
    broken: int  # connections that failed, and answers that took longer than the timeout

    @property
    def requests_per_s(self) -> float:
        """Right answers a second."""
        return (self.requests - self.refused) / self.seconds


def measure(
    port: int,
    question: Question,
    *,
    num_classes: int,
    connections: int,
    seconds: int,
    first_seed: int,
    threads: int = 1,
) -> Measured:
    """Loads a server on this machine. One thread is enough for it, and leaves the cores to the server.

    Raises WrkError.
    """
    if shutil.which("wrk") is None:
        raise WrkError("wrk is not installed: apt-get install wrk, or https://github.com/wg/wrk")
    arguments = [question.template, str(num_classes), str(first_seed), str(question.images)]
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    url = f"http://127.0.0.1:{port}{question.path}"
    result = subprocess.run(
        [*command, "--latency", "-s", str(SCRIPT), url, "--", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return Measured(**json.loads(result.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError, TypeError) as error:
        raise WrkError(f"wrk failed: {result.stderr.strip() or result.stdout.strip()}") from error
