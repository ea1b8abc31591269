"""The engine alone, with nothing around it: what a server could reach at best."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.plain_engine import PlainEngine
from generator.artifact import Artifact
from generator.engines import open_engine
from generator.latents import latents

WARM_UP_S = 0.5


def raw_images_per_s(
    model: Path, batch: int, threads: int | None, seconds: float, is_plain: bool = False
) -> float:
    """Engine calls of one batch size, back to back, on latents made before; `threads` None: all cores.

    The engine and its file are those that the service uses, or with `is_plain` onnxruntime as it comes with
    the exported graph. Raises ArtifactError, EngineError.
    """
    artifact = Artifact.open(model)
    spec = artifact.spec
    engine = PlainEngine(artifact, threads) if is_plain else open_engine(artifact, threads)
    latent = latents(range(batch), spec.latent_dim, noise=spec.noise)
    vectors = spec.class_vectors([number % spec.num_classes for number in range(batch)])
    warm = time.perf_counter() + WARM_UP_S
    while time.perf_counter() < warm:
        engine.generate(latent, vectors)
    calls, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        engine.generate(latent, vectors)
        calls += 1
    return calls * batch / passed
