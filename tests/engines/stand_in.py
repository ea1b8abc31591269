"""Hardware that is not there: TensorRT, on CUDA's runtime of `stand_in_cuda`.

An image of the stand-in tells what it was made of: its pixels are a hash of its own latent and class vector.
"""

# ruff: noqa: N802 - the names are TensorRT's

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.engines.cuda import Cuda
from generator.engines.tensorrt import Hardware
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from tests.engines.stand_in_cuda import Runtime

RUNTIME = "tensorrt-11.4.0.106"


def image_of(latent: npt.NDArray[np.float32], vector: npt.NDArray[np.float32], spec: GeneratorSpec) -> Any:
    """What the stand-in makes of a row: uint8 [H, W, C], a hash repeated."""
    digest = hashlib.sha256(latent.tobytes() + vector.tobytes()).digest()
    size = spec.image_size**2 * spec.channels
    pixels = np.frombuffer(digest * (size // 32 + 1), np.uint8)[:size]
    return pixels.reshape(spec.image_size, spec.image_size, spec.channels)


def images_of(latent: npt.NDArray[np.float32], vector: npt.NDArray[np.float32], spec: GeneratorSpec) -> Any:
    return np.stack([image_of(*rows, spec) for rows in zip(latent, vector, strict=True)])


class Tensorrt:
    """The module tensorrt, whose plans say in JSON for which batch sizes they are."""

    __name__ = "tensorrt"
    __version__ = RUNTIME.partition("-")[2]

    class ILogger:
        ERROR = 1

        def log(self, severity: int, message: str) -> None:
            raise NotImplementedError

    def __init__(
        self,
        runtime: Runtime,
        spec: GeneratorSpec,
        make: Callable[..., Any] = images_of,
    ) -> None:
        self.runtime, self.spec, self.make = runtime, spec, make
        self.fails = False  # executions return False
        self.contexts_left = 10**6

    def Runtime(self, logger: Any) -> Any:
        def deserialize_cuda_engine(plan: bytes) -> Any:
            try:
                return Engine(self, logger, json.loads(plan)["buckets"])
            except ValueError:
                logger.log(1, "Serialization assertion failed: magic tag does not match")
                return None

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)


@dataclass
class Engine:
    trt: Tensorrt
    logger: Any
    buckets: Sequence[int]

    num_io_tensors = 3

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.buckets)

    def get_tensor_name(self, number: int) -> str:
        return (LATENT, CLASS_VECTOR, IMAGES)[number]

    def create_execution_context(self) -> Any:
        if not self.trt.contexts_left:
            self.logger.log(1, "Requested amount of GPU memory could not be allocated")
            return None
        self.trt.contexts_left -= 1
        return Context(self)


class Context:
    """IExecutionContext: one batch at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.trt = engine, engine.trt
        self.bucket = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, number: int, stream: int) -> bool:
        self.bucket = self.engine.buckets[number]
        return stream in self.trt.runtime.streams

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        self.shapes[name] = tuple(shape)
        return shape[0] == self.bucket

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address in self.trt.runtime.memory

    def execute_async_v3(self, stream: int) -> bool:
        runtime, spec = self.trt.runtime, self.trt.spec
        with runtime.lock:
            runtime.calls.append("execute_async_v3")
            if runtime.lost or self.trt.fails:
                self.engine.logger.log(1, "Cask: the launch failed")
                return False
            assert set(self.shapes) == {LATENT, CLASS_VECTOR}
            assert set(self.addresses) == {LATENT, CLASS_VECTOR, IMAGES}

            def array(name: str, width: int) -> npt.NDArray[np.float32]:
                memory = runtime.memory[self.addresses[name]]
                return np.frombuffer(bytes(memory), np.float32).reshape(self.bucket, width)

            def compute() -> None:
                if not set(self.addresses.values()) <= runtime.memory.keys():
                    runtime.violations.append("a batch was computed in memory that was given back")
                    return
                made = self.trt.make(
                    array(LATENT, spec.latent_dim), array(CLASS_VECTOR, spec.num_classes), spec
                )
                content = np.ascontiguousarray(made).tobytes()
                ctypes.memmove(self.addresses[IMAGES], content, len(content))

            runtime.streams[stream].take(compute)
        return True


def hardware(spec: GeneratorSpec, seed: int = 0, **options: Any) -> tuple[Hardware, Runtime, Tensorrt]:
    """A GPU that is not there, and its parts, to look at and to break."""
    make = options.pop("make", images_of)
    runtime = Runtime(seed, **options)
    trt = Tensorrt(runtime, spec, make)
    return Hardware(Cuda(runtime), {RUNTIME: trt}), runtime, trt


def plan(buckets: Sequence[int]) -> bytes:
    return json.dumps({"buckets": list(buckets)}).encode()
