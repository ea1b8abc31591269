"""Engines run an artifact's graph. `open_engine` picks one and says why."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.pixels import Pixels


class EngineError(RuntimeError):
    """An engine that cannot be started or cannot run the graph."""


class Engine(Protocol):
    """Runs the graph; safe to call from one thread at a time."""

    @property
    def key(self) -> str:
        """Runtime, precision, device kind, form of the graph, instruction set.

        The same key gives the same pixels.
        """

    @property
    def choice(self) -> str:
        """Why this engine was taken, in a sentence."""

    @property
    def best_batch(self) -> int:
        """Images of one call beyond which larger batches gain next to nothing."""

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """latent [N, latent_dim], class_vector [N, num_classes] -> uint8 [N, H, W, C].

        Raises EngineError.
        """


def open_engine(artifact: Artifact, threads: int | None = None) -> Engine:
    """The best engine for an artifact on this machine; `threads` None means all cores.

    Raises EngineError.
    """
    from generator.engines.onnxruntime import OnnxruntimeEngine  # noqa: PLC0415, imports this module

    return OnnxruntimeEngine(artifact, threads)
