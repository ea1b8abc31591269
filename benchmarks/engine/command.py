"""python -m benchmarks engine: the engines alone, without HTTP."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks import document, results
from benchmarks.engine.flops import flop_per_image
from benchmarks.engine.sweep import subjects, sweep
from benchmarks.machine import manifest
from benchmarks.options import above_zero, positive
from generator.artifact import Artifact

BATCHES = (1, 2, 4, 8, 16, 32, 64)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=Path("models/fashion"), help="(default: %(default)s)")
    parser.add_argument("--batches", type=positive, nargs="+", default=BATCHES, help="(default: 1 to 64)")
    parser.add_argument("--repeats", type=positive, default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--seconds", type=above_zero, default=0.5, help="of each batch (default: %(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="tables and plot into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Raises ArtifactError, EngineError, ResultError."""
    artifact, file = Artifact.open(options.model), results.new_file("engine")
    flop = flop_per_image(artifact.onnx_file)
    found, missing = subjects(options.model, os.cpu_count() or 1)
    for name, why in missing.items():
        document.tell(f"{name} is not measured: {why}")
    about = manifest(artifact, repeats=options.repeats, seconds=options.seconds, batches=options.batches)
    measured = sweep(
        options.model, found, options.batches, options.repeats, options.seconds, tell=document.tell
    )
    result = {"manifest": about, "flop_per_image": flop, "missing": missing, **measured}
    results.write(file, result)
    document.finish(result, file, options.write)
    return 0
