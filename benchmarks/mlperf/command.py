"""python -m benchmarks mlperf: LoadGen's scenarios over the service and over the bare engine."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import document, results
from benchmarks.machine import manifest
from benchmarks.mlperf.report import line, went_wrong
from benchmarks.mlperf.runs import SYSTEMS, Plan, measure
from benchmarks.mlperf.trial import SCENARIOS
from benchmarks.options import above_zero, positive
from generator.artifact import Artifact


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "MLPerf's LoadGen over the service and over the bare engine, each answer compared."
    parser.add_argument("--model", type=Path, default=Path("models/fashion"), help="(default: %(default)s)")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="(default: both)")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS, help="(default: all)")
    parser.add_argument("--seconds", type=above_zero, help="of a test, at least (default: 5; --full: 600)")
    parser.add_argument("--full", action="store_true", help="the official numbers of queries and 600 s")
    parser.add_argument("--target-qps", type=positive, help="of Server (default: the most that is VALID)")
    parser.add_argument("--latency-ms", type=positive, default=20, help="of Server, for p99 (default: 20)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """The exit code: 1 for answers that failed or wrong pixels.

    Raises ArtifactError, EngineError, ResultError, ServerError.
    """
    file = results.new_file("mlperf")
    plan = Plan(options.full, options.seconds, options.latency_ms, options.target_qps)
    about = manifest(
        Artifact.open(options.model), full=plan.full, seconds=plan.at_least_s, latency_ms=plan.latency_ms
    )
    result: results.Json = {"manifest": about, "runs": []}
    for found in measure(
        options.model, options.systems, options.scenarios, plan, file.with_suffix(""), document.tell
    ):
        result["runs"].append(found)
        results.write(file, result)
        document.tell(line(found))
    document.finish(result, file, options.write)
    return int(any(map(went_wrong, result["runs"])))
