"""The ways of computing images that are compared, and what each one lacks here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from generator.artifact import Artifact
from generator.engines import Engine, EngineError, Precision, Wanted
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.onnxruntime_gpu import OnnxruntimeGpuEngine
from generator.engines.tensorrt import TensorrtEngine

CPU = "onnxruntime, CPU"
Open = Callable[[Artifact], Engine]


@dataclass(frozen=True)
class Ways:
    """Engines that are open, by name, and why the others are not."""

    engines: dict[str, Engine]
    missing: dict[str, str]

    @property
    def have_gpu(self) -> bool:
        return any(name != CPU for name in self.engines)


def all_ways(cache: Path) -> dict[str, Open]:
    """By name, in the order of the tables; the first is what the others are compared with."""
    ways: dict[str, Open] = {CPU: OnnxruntimeEngine, "onnxruntime, CUDA": OnnxruntimeGpuEngine}
    precisions: tuple[Precision, ...] = ("fp32", "fp16")
    for precision in precisions:
        for use_graphs in (False, True):
            name = f"TensorRT, {precision}{', CUDA graphs' if use_graphs else ''}"
            wanted = Wanted(cache=cache, precision=precision)
            ways[name] = partial(TensorrtEngine, wanted=wanted, use_graphs=use_graphs)
    return ways


def open_ways(artifact: Artifact, ways: dict[str, Open]) -> Ways:
    """Opens what can be opened here."""
    found = Ways({}, {})
    for name, open_way in ways.items():
        try:
            found.engines[name] = open_way(artifact)
        except (EngineError, ImportError) as error:
            found.missing[name] = str(error)
    return found
