"""Tests one after the other: a performance and an accuracy run of each system in each scenario."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.mintage import mintage
from benchmarks.mlperf.accuracy import check
from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.summary import read_summary
from benchmarks.mlperf.trial import OFFICIAL, OFFICIAL_S, SHORT, SHORT_S, Mode, Scenario, Trial
from benchmarks.results import HOME, LOGS, Json, ResultError
from benchmarks.servers import ROOT, running
from generator import Generator

SYSTEMS = ("service", "engine")


@dataclass(frozen=True)
class Plan:
    """How long tests are, and what the scenario Server is asked for."""

    full: bool
    seconds: float | None  # of a test, at least; None: 5, or 600 where full
    latency_ms: float
    target_qps: float | None

    @property
    def at_least_s(self) -> float:
        return self.seconds or (OFFICIAL_S if self.full else SHORT_S)

    def trial(self, scenario: Scenario, mode: Mode, folder: Path) -> Trial:
        queries = (OFFICIAL if self.full else SHORT)[scenario]
        return Trial(scenario, mode, self.at_least_s, queries, self.latency_ms, self.target_qps, folder)


def measure(
    model: Path,
    systems: Sequence[str],
    scenarios: Sequence[Scenario],
    plan: Plan,
    folder: Path,
    tell: Callable[[str], None],
) -> Iterator[Json]:
    """Each system's scenarios; LoadGen's logs stay in `folder`/system/scenario, of accuracy below that.

    Raises ResultError, ServerError.
    """
    generator = Generator.open(model)
    samples = Samples(generator.spec.num_classes)
    for system in systems:
        with ExitStack() as stack:
            port = None
            if system == "service":
                server = stack.enter_context(running(mintage(model, HOME), LOGS / "mlperf.log"))
                port = server.port
            for scenario in scenarios:
                logs = folder / system / scenario
                tell(f"{system}, {scenario}")
                told = _run(model, port, plan.trial(scenario, "PerformanceOnly", logs))
                accurate = _run(model, port, plan.trial(scenario, "AccuracyOnly", logs / "accuracy"))
                yield {
                    "system": system,
                    **asdict(read_summary(logs)),
                    **told,
                    "failed": told["failed"] + accurate["failed"],
                    "accuracy": asdict(check(logs / "accuracy", generator, samples)),
                }


def _run(model: Path, port: int | None, trial: Trial) -> dict[str, Any]:
    """One test in a process of its own; what it tells beside LoadGen's logs. Raises ResultError."""
    command = [
        sys.executable, "-m", "benchmarks.mlperf.child", "--model", str(model.resolve()),
        "--trial", json.dumps({**asdict(trial), "folder": str(trial.folder)}),
        *(["--port", str(port)] if port else []),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ResultError(f"{trial.scenario} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
