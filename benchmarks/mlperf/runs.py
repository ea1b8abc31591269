"""Tests one after the other: a performance and an accuracy run of each system in each scenario."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.mintage import mintage
from benchmarks.mlperf.accuracy import check
from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.summary import SUMMARY, read_summary
from benchmarks.mlperf.trial import OFFICIAL, OFFICIAL_S, SHORT, SHORT_S, STEP, Mode, Scenario, Trial
from benchmarks.results import HOME, LOGS, Json, ResultError
from benchmarks.servers import ROOT, running
from generator import Generator

SYSTEMS = ("service", "engine")
SEARCH_S = 10.0  # of a test that looks for a rate, at most
MOST_STEPS = 12  # from one rate to the next
BACK, CONFIRMATIONS = 0.93, 4  # a rate that a whole test does not confirm is lowered to so much of it


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
                trial = plan.trial(scenario, "PerformanceOnly", logs)
                search = scenario == "Server" and plan.target_qps is None
                told = _run_at_most(model, port, trial, tell) if search else _run(model, port, trial)
                accurate = _run(model, port, plan.trial(scenario, "AccuracyOnly", logs / "accuracy"))
                yield {
                    "system": system,
                    **asdict(read_summary(logs)),
                    **told,
                    "failed": told["failed"] + accurate["failed"],
                    "accuracy": asdict(check(logs / "accuracy", generator, samples)),
                    "summary": (logs / SUMMARY).read_text(),
                }


def _run_at_most(model: Path, port: int | None, trial: Trial, tell: Callable[[str], None]) -> dict[str, Any]:
    """A test of the scenario Server at the highest rate that LoadGen calls VALID.

    Short tests look for the rate; the whole one goes lower until it is valid, too. Raises ResultError.
    """
    short = replace(trial, seconds=min(trial.seconds, SEARCH_S), queries=SHORT["Server"])

    def is_valid(rate: float) -> bool:
        logs = trial.folder / "search" / f"{rate:.0f}"
        _run(model, port, replace(short, target_qps=rate, folder=logs))
        valid = read_summary(logs).valid
        tell(f"Server at {rate:,.0f} queries/s: {'VALID' if valid else 'INVALID'}")
        return valid

    first = _run(model, port, replace(short, folder=trial.folder / "search" / "first"))["target_qps"]
    rate = highest_rate(is_valid, first)
    for _ in range(CONFIRMATIONS):
        tell(f"Server at {rate:,.0f} queries/s, {trial.seconds:g} s")
        told = _run(model, port, replace(trial, target_qps=rate))
        if read_summary(trial.folder).valid:
            break
        rate *= BACK
    return told


def highest_rate(is_valid: Callable[[float], bool], first: float) -> float:
    """From `first` upwards while rates are valid; where it is not, downwards until one is, or the last."""
    rate, steps = first, range(MOST_STEPS)
    if is_valid(rate):
        for _ in steps:
            if not is_valid(rate * STEP):
                break
            rate *= STEP
        return rate
    for _ in steps:
        rate /= STEP
        if is_valid(rate):
            break
    return rate


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
