"""The bare engine as a system under test: a thread that computes what waits, as much as a batch takes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.system import Done, Query
from generator import Generator
from generator.engines import EngineError
from generator.latents import latents


class EngineSystem:
    """Its answers are pixels. Latents are made before, as MLPerf allows what prepares samples to be."""

    def __init__(self, model: Path, threads: int | None, samples: Samples, done: Done) -> None:
        """Raises ArtifactError, EngineError."""
        self.done, self.failed = done, 0
        generator = Generator.open(model, threads)
        spec, indices = generator.spec, range(samples.count)
        self._engine = generator.engine
        self._latent = latents([samples.seed(i) for i in indices], spec.latent_dim, None, spec.noise)
        self._vectors = spec.class_vectors([samples.label(i) for i in indices])
        self._waiting: queue.SimpleQueue[Sequence[Query]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def issue(self, queries: Sequence[Query]) -> None:
        self._waiting.put(queries)

    def close(self) -> None:
        self._waiting.put([])
        self._thread.join()

    def _run(self) -> None:
        """Batches form while the engine is busy: whatever waits by then, the rest another time."""
        size = self._engine.best_batch
        while taken := list(self._waiting.get()):
            while len(taken) < size and not self._waiting.empty():
                if not (more := self._waiting.get()):
                    self._waiting.put(more)  # the end, once this is computed
                    break
                taken += more
            for start in range(0, len(taken), size):
                self._compute(taken[start : start + size])

    def _compute(self, batch: Sequence[Query]) -> None:
        indices = [index for _, index in batch]
        try:
            images = self._engine.generate(self._latent[indices], self._vectors[indices])
            answers = [image.tobytes() for image in images]
        except EngineError:
            self.failed += len(batch)
            answers = [b""] * len(batch)
        self.done([query for query, _ in batch], answers)
