"""python -m export engine: which engines to build, each with its parity, into the engine cache."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from export.engine import BUCKETS, BuildError, BuildOptions, Built, build_engine, targets_of
from generator.artifact import Artifact
from generator.engines import CACHE, EngineError, Precision, Wanted
from generator.engines.cache import (
    ANY_GPU,
    LAYERS,
    PLAN,
    EngineKey,
    find_engines,
    read_timing_cache,
    store_engine,
    write_timing_cache,
)
from generator.engines.parity import PixelParity
from generator.engines.tensorrt import Hardware, TensorrtEngine, find_hardware, find_runtimes

MAX_BUCKET, MAX_BUCKETS = 1024, 16

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One engine to build."""

    key: EngineKey
    trt: Any
    graph: Path
    target: str | None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", type=Path, help="the artifact's folder, such as models/fashion")
    parser.add_argument("--target", nargs="+", default=[], metavar="SM", help="such as sm89, or all")
    parser.add_argument(
        "--precision", nargs="+", choices=get_args(Precision), default=[],
        help="(default: all that the artifact has graphs of)",
    )  # fmt: skip
    parser.add_argument(
        "--buckets", nargs="+", type=int, default=BUCKETS, help="batch sizes (default: powers of two to 128)"
    )
    parser.add_argument("--workspace-mib", type=int, help="memory that a layer may use (default: all)")
    parser.add_argument("--optimization-level", type=int, choices=range(6), default=3, metavar="0..5")
    parser.add_argument("--cache", type=Path, default=CACHE, help="the engine cache (default: %(default)s)")
    parser.add_argument("--replace", action="store_true", help="build engines that are there again")


def build_options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> BuildOptions:
    """Ends the program where a value is out of range."""
    buckets = tuple(sorted(set(options.buckets)))
    if not 1 <= buckets[0] <= buckets[-1] <= MAX_BUCKET:
        parser.error(f"--buckets {' '.join(map(str, buckets))}: allowed are 1 to {MAX_BUCKET}")
    if len(buckets) > MAX_BUCKETS:
        parser.error(f"--buckets: {len(buckets)} sizes, allowed are {MAX_BUCKETS}")
    if options.workspace_mib is not None and options.workspace_mib < 1:
        parser.error(f"--workspace-mib {options.workspace_mib}: at least 1")
    return BuildOptions(tuple(options.precision), buckets, options.workspace_mib, options.optimization_level)


def build_and_store(options: argparse.Namespace, wanted: BuildOptions, tell: Tell) -> None:
    """Builds every engine first and stores them then: a failure leaves the cache as it was.

    Raises ArtifactError, BuildError, CacheError, EngineError.
    """
    artifact = Artifact.open(options.artifact)
    hardware = None if options.target else _hardware_at_hand()
    there = {cached.path for cached in find_engines(options.cache, artifact.manifest.digest)[0]}
    finished: list[tuple[Job, Built, PixelParity | None]] = []
    for job in _jobs(artifact, options.target, wanted, hardware):
        place = options.cache / job.key.folder
        if place in there and not options.replace:
            tell(f"{place} is there already: --replace builds it again")
            continue
        timings = read_timing_cache(options.cache, job.key)
        began = time.perf_counter()
        built = build_engine(job.trt, job.graph.read_bytes(), wanted, job.target, timings)
        took = time.perf_counter() - began
        tell(f"{place.name}: {len(built.plan) / 1e6:.1f} MB in {took:.1f} s")
        finished.append((job, built, _parity(artifact, job, built, hardware)))
    for job, built, parity in finished:
        cached = store_engine(
            options.cache, job.key, _files(built), parity=parity, options=_record(job, built, wanted),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        if built.timing_cache:
            write_timing_cache(options.cache, job.key, built.timing_cache)
        tell(f"-> {cached.path}")
        tell(
            f"   {parity.differing_pixels:,} of {parity.compared_pixels:,} pixels differ from "
            f"{parity.reference}, by at most {parity.max_pixel_error} of 255"
            if parity
            else "   not run yet: there is no such GPU here; whoever opens it measures its parity first"
        )


def _hardware_at_hand() -> Hardware:
    """Raises EngineError with what is missing, and the way out."""
    try:
        return find_hardware()
    except EngineError as error:
        raise EngineError(f"{error}; with --target, engines are built ahead of time without a GPU") from error


def _jobs(
    artifact: Artifact, targets: list[str], wanted: BuildOptions, hardware: Hardware | None
) -> Iterator[Job]:
    """Every precision for every target. Raises BuildError for what the artifact or TensorRT lacks."""
    precisions = wanted.precisions or tuple(p for p in get_args(Precision) if artifact.graph_of(p))
    for runtime, trt, target, gpu, capability in _places(targets, hardware):
        for precision in precisions:
            graph = artifact.graph_of(precision)
            if graph is None:
                raise BuildError(
                    f"{artifact.opened_by} has no graph in {precision}: `python -m export complete "
                    f"{artifact.opened_by}` adds it"
                )
            sha256 = artifact.manifest.files[graph.name]
            key = EngineKey(
                artifact.manifest.digest, sha256, runtime, gpu, capability, precision, wanted.buckets
            )
            yield Job(key, trt, graph, target)


def _places(targets: list[str], hardware: Hardware | None) -> Iterator[tuple[str, Any, str | None, str, str]]:
    """Runtime, its module, target, GPU and compute capability of what is to be built for."""
    if hardware is not None:
        runtime, trt = next(iter(hardware.runtimes.items()))
        gpu = hardware.cuda.gpu()
        yield runtime, trt, None, gpu.name, gpu.compute_capability
        return
    found = find_runtimes(["tensorrt-rtx"])
    if not found:
        raise BuildError("--target needs the package tensorrt-rtx: pip install -e '.[rtx]'")
    ((runtime, trt),) = found.items()
    capabilities = targets_of(trt)
    for target in capabilities if "all" in targets else targets:
        if target not in capabilities:
            raise BuildError(f"target {target!r}: {runtime} builds for {', '.join(capabilities)}")
        yield runtime, trt, target, ANY_GPU, capabilities[target]


def _files(built: Built) -> dict[str, bytes]:
    return {PLAN: built.plan, LAYERS: (json.dumps(built.layers, indent=1) + "\n").encode()}


def _record(job: Job, built: Built, wanted: BuildOptions) -> dict[str, Any]:
    """How it was built."""
    timings = built.timing_cache
    return {
        "target": job.target,
        "workspace_mib": wanted.workspace_mib,
        "optimization_level": wanted.optimization_level,
        "timing_cache_sha256": hashlib.sha256(timings).hexdigest() if timings else None,
    }


def _parity(artifact: Artifact, job: Job, built: Built, hardware: Hardware | None) -> PixelParity | None:
    """Measured in a cache of its own, as the one who serves would open it; None without its GPU."""
    if hardware is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        store_engine(Path(scratch), job.key, _files(built), parity=None, options={}, created="")
        wanted = Wanted(cache=Path(scratch), precision=job.key.precision)
        return TensorrtEngine(artifact, wanted=wanted, hardware=hardware).parity
