"""Engines run an artifact's graph. `open_engine` picks one and says why."""

# ruff: noqa: PLC0415 - the modules of engines import this one, and what they need may not be there

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.pixels import Pixels

EngineName = Literal["tensorrt", "onnxruntime-gpu", "onnxruntime"]  # the best first
Precision = Literal["fp16", "fp32"]  # the fastest first
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
CACHE = Path("engines")  # below the current folder


class EngineError(RuntimeError):
    """An engine that cannot be started or cannot run the graph."""


class DeviceLost(EngineError):
    """The GPU answers no more: nothing in this process can use it again."""


class Engine(Protocol):
    """Runs the graph; safe to call from `calls_at_once` threads at a time."""

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

    @property
    def calls_at_once(self) -> int:
        """Calls that gain by running side by side; 1 where they would take the cores from each other."""

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """latent [N, latent_dim], class_vector [N, num_classes] -> uint8 [N, H, W, C].

        Raises EngineError.
        """


@dataclass(frozen=True)
class Wanted:
    """What the one who opens an engine asks for."""

    engine: EngineName | None = None  # None: the best that runs here
    threads: int | None = None  # of a CPU; None: all cores
    cache: Path = CACHE  # where `python -m export engine` has put TensorRT's
    precision: Precision | None = None  # of TensorRT's; None: fp16 where there is one, else fp32
    fixed_batch: int | None = None  # every batch is filled up to this: pixels that no batch size can change


@dataclass(frozen=True)
class Chosen:
    """An engine, and why each better one was not taken."""

    engine: Engine
    not_taken: tuple[tuple[EngineName, str], ...] = ()


def choose_engine(artifact: Artifact, wanted: Wanted | None = None) -> Chosen:
    """The best engine for an artifact on this machine, or the one that is wanted.

    One that is wanted by name is never replaced by another. Raises EngineError.
    """
    wanted = wanted or Wanted()
    if wanted.engine is not None:
        return Chosen(_opener(wanted.engine)(artifact, wanted))
    not_taken: list[tuple[EngineName, str]] = []
    for name in ENGINES[:-1]:
        try:
            return Chosen(_opener(name)(artifact, wanted), tuple(not_taken))
        except EngineError as error:
            not_taken.append((name, str(error)))
    return Chosen(_opener(ENGINES[-1])(artifact, wanted), tuple(not_taken))


def check_engine(name: EngineName | None) -> None:
    """Raises EngineError, with what is missing, where a wanted engine cannot run on this machine."""
    if name == "tensorrt":
        from generator.engines.tensorrt import find_hardware

        find_hardware()
    elif name == "onnxruntime-gpu":
        from generator.engines.onnxruntime_gpu import find_device

        find_device()


def open_engine(artifact: Artifact, threads: int | None = None) -> Engine:
    """The best engine for an artifact on this machine; `threads` None means all cores.

    Raises EngineError.
    """
    return choose_engine(artifact, Wanted(threads=threads)).engine


def _opener(name: EngineName) -> Callable[[Artifact, Wanted], Engine]:
    """What opens an engine; its packages are imported by then, not before."""
    if name == "tensorrt":
        from generator.engines.tensorrt import TensorrtEngine

        return lambda artifact, wanted: TensorrtEngine(artifact, wanted=wanted)
    if name == "onnxruntime-gpu":
        from generator.engines.onnxruntime_gpu import OnnxruntimeGpuEngine

        return lambda artifact, wanted: OnnxruntimeGpuEngine(artifact, wanted=wanted)
    from generator.engines.onnxruntime import OnnxruntimeEngine

    return lambda artifact, wanted: OnnxruntimeEngine(artifact, wanted.threads)
