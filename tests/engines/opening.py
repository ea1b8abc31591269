"""Engines in a cache for the stand-in, and the engine that opens them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.artifact import ONNX, Artifact
from generator.engines import Wanted
from generator.engines.cache import LAYERS, PLAN, CacheEntry, EngineKey, store_engine
from generator.engines.parity import PixelParity
from generator.engines.tensorrt import TensorrtEngine
from tests.conftest import GREY
from tests.engines.stand_in import RUNTIME, Tensorrt, hardware, plan
from tests.engines.stand_in_cuda import Runtime

BUCKETS = (1, 2, 4, 8)
PARITY = PixelParity("onnxruntime", (1,), 0, 0, 1)


def key_for(artifact: Artifact, **changes: Any) -> EngineKey:
    sha256 = artifact.manifest.files[ONNX]
    key = EngineKey(artifact.manifest.digest, sha256, RUNTIME, "NVIDIA H200", "9.0", "fp32", BUCKETS)
    return replace(key, **changes)


def cached(
    cache: Path, artifact: Artifact, parity: PixelParity | None = PARITY, **changes: Any
) -> CacheEntry:
    key = key_for(artifact, **changes)
    files = {PLAN: plan(key.buckets), LAYERS: b"[]"}
    return store_engine(cache, key, files, parity=parity, options={}, created="")


def opened(
    artifact: Artifact, cache: Path, seed: int = 0, use_graphs: bool = True, **wanted: Any
) -> tuple[TensorrtEngine, Runtime, Tensorrt]:
    gpu, runtime, trt = hardware(GREY, seed)
    engine = TensorrtEngine(
        artifact, wanted=Wanted(cache=cache, **wanted), hardware=gpu, use_graphs=use_graphs
    )
    return engine, runtime, trt


def batch(count: int, first: int = 0) -> tuple[Any, Any]:
    """Latents that are told apart by their first component."""
    rng = np.random.default_rng(first)
    latent = rng.standard_normal((count, GREY.latent_dim)).astype(np.float32)
    vectors = GREY.class_vectors([n % GREY.num_classes for n in range(count)])
    return latent, vectors
