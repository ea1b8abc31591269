"""What is left of the service when twice as many requests come as it can answer."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.measuring import load, warm_up
from benchmarks.results import LOGS, Json
from benchmarks.servers import ROOT, Running, Server, running
from generator import Generator

FACTOR = 2.0
PEAK_CONNECTIONS = 64
SERVICE_TIMEOUT_MS = 10_000  # the service's default: what comes later than this is of no use
TOGETHER_MS = 5  # requests due so close go out at once: the client's share of the cores is not what is asked


class LoadFailed(RuntimeError):
    """The load client ended with an error."""


@dataclass(frozen=True)
class Overload:
    """One server: its peak in a closed loop, then what an open loop of twice that got out of it."""

    peak_per_s: float
    report: Json  # of benchmarks.load

    @property
    def goodput_per_s(self) -> float:
        return float(self.report["goodput_per_s"])

    @property
    def goodput_at_last_per_s(self) -> float:
        """Over the second half, when queues have filled: a server that collapses shows it here."""
        tenths: list[float] = self.report["goodput_by_tenth_per_s"]
        return sum(tenths[5:]) / 5

    @property
    def valid(self) -> bool:
        return bool(self.report["valid"])


def overload(server: Server, generator: Generator, *, peak_s: int, seconds: float) -> Overload:
    """Raises ServerError, WrkError, WrongAnswer, LoadFailed."""
    with running(server, LOGS / "overload.log") as process:
        warm_up(process, generator)
        peak = load(process, generator, PEAK_CONNECTIONS, peak_s).requests_per_s
        report = run_load(
            process, generator, "--rate", f"{FACTOR * peak:.1f}", "--seconds", f"{seconds:g}",
            "--timeout-ms", str(SERVICE_TIMEOUT_MS),
            "--together-ms", f"{TOGETHER_MS:g}", "--random-seed", str(random.randrange(2**32)),
        )  # fmt: skip
        return Overload(peak, report)


def run_load(process: Running, generator: Generator, *options: str) -> Json:
    """`python -m benchmarks.load` against a server; its report. Raises LoadFailed."""
    seed, classes = random.randrange(2**32), generator.spec.num_classes
    target = ["--port", str(process.port), "--classes", str(classes), "--first-seed", str(seed)]
    command = [sys.executable, "-m", "benchmarks.load", *target, *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LoadFailed(f"{' '.join(command)} failed: {result.stderr.strip()[-2000:]}")
    report: Json = json.loads(result.stdout)
    return report
