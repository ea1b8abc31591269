"""python -m benchmarks soak: an hour at 70 % of what the service can do in an open loop."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks import document, results
from benchmarks.load.progress import Progress
from benchmarks.machine import manifest
from benchmarks.options import above_zero, positive
from benchmarks.soak.soaking import soak
from generator import Generator


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Steady load; memory, open files and latency, minute by minute."
    add = parser.add_argument
    add("--model", type=Path, default=Path("models/fashion"), help="(default: %(default)s)")
    add("--minutes", type=positive, default=60, help="(default: %(default)s)")
    add("--minute-seconds", type=above_zero, default=60, help="shorter minutes, to try it (default: 60)")
    add("--percent", type=positive, default=70, help="of the capacity (default: %(default)s)")
    add("--mix", default="label", help="as of `load` (default: %(default)s)")
    add("--write", action="store_true", help="put the table and a plot into docs")


def run(options: argparse.Namespace) -> int:
    """The exit code: 1 where a request failed or the client lagged.

    A run that is broken off shows what it has. Raises what `soak` raises, ArtifactError and EngineError.
    """
    file = results.new_file("soak")
    generator = Generator.open(options.model)
    about = manifest(
        generator.artifact, minutes=options.minutes, minute_s=options.minute_seconds,
        percent=options.percent, mix=options.mix,
    )  # fmt: skip
    result: results.Json = {"minutes": []}
    try:
        with Progress(Console(stderr=True, highlight=False)) as progress:
            for found in soak(
                generator,
                options.mix,
                options.percent / 100,
                options.minutes,
                options.minute_seconds,
                progress,
            ):
                result = {"manifest": about, **found}
                results.write(file, result)
                progress.tell(_line(found))
    finally:  # broken off, too: what there is by then
        if result["minutes"]:
            document.finish(result, file, options.write and len(result["minutes"]) == options.minutes)
    return int(any(minute["failed"] or not minute["valid"] for minute in result["minutes"]))


def _line(found: results.Json) -> str:
    last, whole = found["minutes"][-1], found["whole"]
    p99 = "-" if last["p99_ms"] is None else f"{last['p99_ms']:.1f}"
    return (
        f"{len(found['minutes']):3}  {last['answered']:,} of {last['requests']:,} answered  p99 {p99} ms  "
        f"slowest {whole['max_ms']:.0f} ms  {last['uss_mib']:.1f} MiB  {last['files']} files"
        + ("" if last["valid"] else "  INVALID: the client lagged")
    )
