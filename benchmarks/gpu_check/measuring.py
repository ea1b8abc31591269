"""Parity with the CPU over many seeds, and the time of a call for every batch size, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.engine.latency import Latency
from benchmarks.gpu_check.ways import CPU, Ways
from benchmarks.results import Json
from generator.engines import Engine
from generator.engines.parity import compare_pixels
from generator.latents import latents
from generator.spec import GeneratorSpec

CHUNK = 100  # seeds compared at once
WARM_UP_S = 0.2

Tell = Callable[[str], None]


def parity(engine: Engine, reference: Engine, spec: GeneratorSpec, seeds: int) -> Json:
    """How many values of the images of so many seeds are others, and by how much."""
    chunks = [min(CHUNK, seeds - first) for first in range(0, seeds, CHUNK)]
    found = compare_pixels(engine, reference, spec, chunks)
    return {
        "seeds": seeds,
        "differing_values": found.differing_pixels,
        "compared_values": found.compared_pixels,
        "max_pixel_error": found.max_pixel_error,
    }


def measure(
    ways: Ways,
    spec: GeneratorSpec,
    batches: Sequence[int],
    *,
    seeds: int,
    repeats: int,
    seconds: float,
    tell: Tell,
) -> list[Json]:
    """For each way its parity and, for each batch, images a second of each repeat and all latencies."""
    rates: dict[tuple[str, int], list[float]] = {}
    times: dict[tuple[str, int], list[float]] = {}
    inputs = {batch: _batch(spec, batch) for batch in batches}
    for repeat in range(repeats):
        tell(f"repeat {repeat + 1} of {repeats}")
        for batch in batches:
            for name, engine in ways.engines.items():
                _calls(engine, inputs[batch], WARM_UP_S if repeat == 0 else 0)
                ms = _calls(engine, inputs[batch], seconds)
                times.setdefault((name, batch), []).extend(ms)
                rates.setdefault((name, batch), []).append(1000 * batch * len(ms) / sum(ms))
    reference = ways.engines[CPU]
    found = []
    for name, engine in ways.engines.items():
        tell(f"parity of {name}")
        found.append(
            {
                "way": name,
                "key": engine.key,
                "parity": parity(engine, reference, spec, seeds),
                "batches": {
                    str(batch): {
                        "images_per_s": rates[name, batch],
                        "latency": asdict(Latency.of(times[name, batch])),
                    }
                    for batch in batches
                },
            }
        )
    return found


def _batch(spec: GeneratorSpec, count: int) -> tuple[Any, Any]:
    return (
        latents(range(count), spec.latent_dim, noise=spec.noise),
        spec.class_vectors([seed % spec.num_classes for seed in range(count)]),
    )


def _calls(engine: Engine, inputs: tuple[Any, Any], seconds: float) -> list[float]:
    """Milliseconds of each call, back to back, at least one."""
    ms: list[float] = []
    end = time.perf_counter() + seconds
    before = time.perf_counter()
    while before < end or not ms:
        engine.generate(*inputs)
        after = time.perf_counter()
        ms.append((after - before) * 1000)
        before = after
    return ms
