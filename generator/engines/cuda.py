"""What an engine needs of CUDA: is there a GPU, memory on both sides, streams and graphs. No torch.

Every call goes through `Cuda.call`, which makes an exception of an error. The module of bindings is a
parameter, so that tests can put hardware in its place that delays and reorders what it is told to do.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.engines import DeviceLost, EngineError

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
DEVICE = 0  # the first that CUDA_VISIBLE_DEVICES lets this process see


class OutOfMemory(EngineError):
    """The GPU has no memory left for what was asked."""


class NotCapturable(EngineError):
    """Work that cannot be made a graph of."""


@dataclass(frozen=True)
class Gpu:
    """The GPU at hand."""

    name: str  # NVIDIA H200
    compute_capability: str  # 9.0
    driver: str  # the newest CUDA that its driver runs, 13.0


@dataclass(frozen=True)
class Pinned:
    """Memory of this machine that a GPU copies from and to by itself."""

    address: int
    array: npt.NDArray[Any]


class Cuda:
    """CUDA's runtime, of the module cuda.bindings.runtime or one that stands in for it."""

    def __init__(self, cudart: Any) -> None:
        self.cudart = cudart

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a function of the runtime: nothing, or its result.

        Raises OutOfMemory and NotCapturable, which leave the device usable, and DeviceLost for anything else:
        an error of work that was sent before comes out of whichever call is next, and stays.
        """
        error, *results = getattr(self.cudart, name)(*arguments)
        if error == self.cudart.cudaError_t.cudaSuccess:
            return results[0] if results else None
        if error == self.cudart.cudaError_t.cudaErrorMemoryAllocation:
            self.cudart.cudaGetLastError()  # taken note of: else the next call would tell it again
            raise OutOfMemory(f"the GPU is out of memory ({name})")
        if error.name.startswith("cudaErrorStreamCapture"):
            self.cudart.cudaGetLastError()
            raise NotCapturable(f"CUDA cannot capture it: {error.name}")
        raise DeviceLost(f"the GPU is lost: {name} failed with {error.name}")

    def gpu(self) -> Gpu:
        """Raises EngineError."""
        properties, version = self.call("cudaGetDeviceProperties", DEVICE), self.call("cudaDriverGetVersion")
        return Gpu(
            name=bytes(properties.name).split(b"\0")[0].decode(),
            compute_capability=f"{properties.major}.{properties.minor}",
            driver=f"{version // 1000}.{version % 1000 // 10}",
        )

    def pinned(self, shape: tuple[int, ...], kind: type[np.generic]) -> Pinned:
        """Zeros. Raises OutOfMemory."""
        size = math.prod(shape) * np.dtype(kind).itemsize
        address = int(self.call("cudaMallocHost", size))
        memory = (ctypes.c_char * size).from_address(address)
        array = np.frombuffer(memoryview(memory), kind).reshape(shape)
        array[...] = 0
        return Pinned(address, array)

    def on_device(self, size: int) -> int:
        """The address of that many bytes. Raises OutOfMemory."""
        return int(self.call("cudaMalloc", size))

    def stream(self) -> Any:
        return self.call("cudaStreamCreateWithFlags", self.cudart.cudaStreamNonBlocking)

    def copy_in(self, to: int, pinned: Pinned, stream: Any) -> None:
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", to, pinned.address, pinned.array.nbytes, kind, stream)

    def copy_out(self, pinned: Pinned, since: int, stream: Any) -> None:
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", pinned.address, since, pinned.array.nbytes, kind, stream)

    def wait(self, stream: Any) -> None:
        """Until all that was sent to a stream is done; other threads of Python run meanwhile."""
        self.call("cudaStreamSynchronize", stream)

    def capture(self, work: Callable[[], None], stream: Any) -> Any:
        """What `work` sends to a stream as a graph, to be replayed with `launch`; nothing of it runs now."""
        # Of this thread alone: others may allocate meanwhile.
        mode = self.cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            self.cudart.cudaStreamEndCapture(stream)
            self.cudart.cudaGetLastError()  # that of the capture: else the next call would tell it
            raise
        graph = self.call("cudaStreamEndCapture", stream)
        try:
            return self.call("cudaGraphInstantiate", graph, 0)
        finally:
            self.call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Any) -> None:
        self.call("cudaGraphLaunch", graph, stream)


def find_cuda() -> Cuda:
    """CUDA's runtime, if there is a GPU that it can use.

    Raises EngineError with what is missing. TensorRT itself must not be asked: without a driver it crashes.
    """
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        raise EngineError(f"this machine has no NVIDIA GPU, or no driver ({DRIVER} is missing)") from None
    try:
        from cuda.bindings import runtime  # noqa: PLC0415, only where there is a driver
    except ImportError as error:
        raise EngineError(f"the package cuda-bindings is missing ({error}): install the extra gpu") from error
    status, count = runtime.cudaGetDeviceCount()
    if status != runtime.cudaError_t.cudaSuccess:
        raise EngineError(f"CUDA finds no GPU that it can use: {status.name}")
    if not count:
        raise EngineError("CUDA finds no GPU: CUDA_VISIBLE_DEVICES hides those there are")
    return Cuda(runtime)
