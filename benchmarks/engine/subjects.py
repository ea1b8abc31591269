"""What is measured: every engine that generator.engines has, onnxruntime as it comes, and matrix products."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.plain_engine import PlainEngine
from generator import engines
from generator.artifact import Artifact
from generator.engines import Engine, EngineError
from generator.latents import latents

PLAIN = PlainEngine.key
GEMM = "matrix product"
GEMM_SIZE = 1024
GEMM_FLOP = 2 * GEMM_SIZE**3

Call = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """One way of computing images on this machine."""

    engine: str
    threads: int  # of each process
    processes: int = 1

    @property
    def name(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        if self.processes > 1:
            return f"{self.engine}, {self.processes} processes of {threads}"
        return f"{self.engine}, {threads}"

    @property
    def cores(self) -> int:
        return self.threads * self.processes


def offered() -> dict[str, Callable[[Artifact, int], Engine]]:
    """Module -> engine: the classes called SomethingEngine below generator.engines; and the plain one."""
    found: dict[str, Callable[[Artifact, int], Engine]] = {}
    for module in pkgutil.iter_modules(engines.__path__):
        content = vars(importlib.import_module(f"{engines.__name__}.{module.name}"))
        for name, value in content.items():
            is_own = isinstance(value, type) and value.__module__ == content["__name__"]
            if is_own and name.endswith("Engine"):
                found[module.name] = value
    return {**found, PLAIN: PlainEngine}


def calls(engine: str, model: Path, threads: int) -> tuple[str, Callable[[int], Call]]:
    """The key of an engine, and what prepares its call of a batch. Raises EngineError, ArtifactError."""
    if engine == GEMM:
        return GEMM, lambda batch: _gemm()
    artifact = Artifact.open(model)
    try:
        opened = offered()[engine](artifact, threads)
    except (ImportError, OSError, RuntimeError) as error:  # EngineError is a RuntimeError
        raise EngineError(f"{engine}: {error}") from error
    spec = artifact.spec

    def prepare(batch: int) -> Call:
        latent = latents(range(batch), spec.latent_dim, noise=spec.noise)
        vectors = spec.class_vectors([number % spec.num_classes for number in range(batch)])
        return lambda: opened.generate(latent, vectors)

    return opened.key, prepare


def _gemm() -> Call:
    """One product of float32 matrices, by NumPy's library."""
    source = np.random.Generator(np.random.Philox(0))
    a, b = (source.standard_normal((GEMM_SIZE, GEMM_SIZE), np.float32) for _ in range(2))
    result = np.empty_like(a)
    return lambda: np.matmul(a, b, out=result)
