"""python -m benchmarks training: images/s of our loop and of the textbook's, in turns."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from benchmarks import document, results
from benchmarks.machine import manifest
from benchmarks.options import above_zero, positive
from benchmarks.servers import ROOT

PRESETS = ("fashion-28", "cifar-32", "rgb-64")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS), help="(default: all)")
    parser.add_argument("--repeats", type=positive, default=6, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=above_zero, default=10, help="of each turn (default: %(default)s)")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: torch's own choice)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Raises CalledProcessError where torch is not there, with what Python said of it."""
    file = results.new_file("training")
    result: results.Json = {
        "manifest": manifest(None, repeats=options.repeats, seconds=options.seconds),
        "loops": [],
    }
    for preset in options.presets:
        document.tell(f"{preset}: {4 * options.repeats} turns of {options.seconds:g} s")
        command = [
            sys.executable, "-m", "benchmarks.training.child", "--preset", preset,
            "--repeats", str(options.repeats), "--seconds", str(options.seconds),
        ]  # fmt: skip
        if options.threads:
            command += ["--threads", str(options.threads)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        result["loops"].append(json.loads(done.stdout))
        results.write(file, result)
    document.finish(result, file, options.write)
    return 0
