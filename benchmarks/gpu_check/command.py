"""python -m benchmarks gpu-check: builds the engines, compares every way, writes a report."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import document, results
from benchmarks.gpu_check.measuring import measure
from benchmarks.gpu_check.report import PICTURE, draw, failures, page, tables
from benchmarks.gpu_check.ways import all_ways, open_ways
from benchmarks.machine import manifest
from benchmarks.options import above_zero, positive
from benchmarks.servers import ROOT
from benchmarks.tables import show
from generator.artifact import Artifact
from generator.engines import CACHE, EngineError
from generator.engines.cuda import Gpu, find_cuda
from generator.terminal import WRONG_USE

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
PACKAGES = ("cuda-bindings", "tensorrt", "tensorrt-rtx", "onnxruntime-gpu")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=Path("models/fashion"), help="(default: %(default)s)")
    parser.add_argument("--batches", type=positive, nargs="+", default=BATCHES, help="(default: 1 to 128)")
    parser.add_argument("--seeds", type=positive, default=1000, help="compared (default: %(default)s)")
    parser.add_argument("--repeats", type=positive, default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--seconds", type=above_zero, default=0.5, help="of each batch (default: %(default)s)"
    )
    parser.add_argument("--engines", type=Path, default=CACHE, help="the engine cache (default: %(default)s)")
    parser.add_argument(
        "--without-gpu", action="store_true", help="measure what there is, to try the report without a GPU"
    )


def run(options: argparse.Namespace) -> int:
    """Raises ArtifactError, EngineError. 1 where a way makes other images, 2 where there is no GPU."""
    artifact = Artifact.open(options.model)
    gpu = _find_gpu()
    if isinstance(gpu, Gpu):
        _build(options)
    elif not options.without_gpu:
        document.tell(f"error: nothing can be checked here: {gpu}. docs/tensorrt.md tells what is needed")
        return WRONG_USE
    ways = open_ways(artifact, all_ways(options.engines))
    for name, reason in ways.missing.items():
        document.tell(f"{name} is not measured: {reason}")
    settings = {name: vars(options)[name] for name in ("batches", "seeds", "repeats", "seconds")}
    about = manifest(artifact, **settings)
    about["hardware"]["gpu"] = asdict(gpu) if isinstance(gpu, Gpu) else None
    about["versions"] |= _versions()
    result: results.Json = {
        "manifest": about,
        "missing": ways.missing,
        "ways": measure(ways, artifact.spec, **settings, tell=document.tell),
    }
    _write(result, results.new_file("gpu-check").with_suffix(""))
    if wrong := failures(result):
        document.tell(f"error: other images than on the CPU: {'; '.join(wrong)}")
    return int(bool(wrong))


def _find_gpu() -> Gpu | str:
    """The GPU, or what is missing."""
    try:
        return find_cuda().gpu()
    except EngineError as error:
        return str(error)


def _build(options: argparse.Namespace) -> None:
    """Engines of the GPU at hand, where they are not in the cache yet. Raises EngineError."""
    document.tell("building engines of TensorRT")
    batches = map(str, sorted(options.batches))
    command = [sys.executable, "-m", "export", "engine", str(options.model.resolve())]
    cache = ["--cache", str(options.engines.resolve())]
    status = subprocess.run([*command, *cache, "--buckets", *batches], cwd=ROOT, check=False).returncode
    if status:
        raise EngineError("the engines could not be built: see above")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _write(result: results.Json, folder: Path) -> None:
    """report.md, its picture, and every single measurement as JSON."""
    folder.mkdir(parents=True)
    draw(result, folder / PICTURE)
    (folder / "report.md").write_text(page(result))
    results.write(folder / "result.json", result)
    show(tables(result))
    document.tell(f"-> {folder / 'report.md'}")
