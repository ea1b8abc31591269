"""A slot: all that one batch needs on its way through a GPU, so that two batches never share anything.

    pinned memory -> copy in -> context of TensorRT -> copy out -> pinned memory

The three steps in the middle are captured as one CUDA graph and replayed for each batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.engines import DeviceLost, EngineError
from generator.engines.cuda import Cuda, OutOfMemory
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Profile:
    """One optimization profile of an engine of TensorRT: it computes batches of this size alone."""

    engine: Any  # tensorrt.ICudaEngine
    number: int
    bucket: int  # images
    take_error: Callable[[], str]  # what TensorRT has logged last, once


class Slot:
    """Holds one batch at a time: `launch`, then `collect`. Of one thread at a time."""

    def __init__(self, cuda: Cuda, profile: Profile, spec: GeneratorSpec, use_graph: bool = True) -> None:
        """Allocates, runs once, and captures. Raises OutOfMemory, EngineError."""
        self._cuda, self.bucket, self._take_error = cuda, profile.bucket, profile.take_error
        self._undo: list[tuple[str, Any]] = []
        # Whoever drops a slot gives its memory back; not at exit, when a lost GPU might hang.
        self._finalizer = weakref.finalize(self, _undo, cuda, self._undo)
        self._finalizer.atexit = False
        self._graph: Any = None
        self.is_idle = True  # nothing was launched since the last `collect`
        try:
            self._allocate(profile, spec)
            self._run_once()
            if use_graph:
                self._capture()
        except EngineError:
            self.close()
            raise

    @property
    def has_graph(self) -> bool:
        return self._graph is not None

    def _run_once(self) -> None:
        """TensorRT prepares itself in the first run, which a graph cannot hold."""
        try:
            self._send()
        finally:  # what of it was sent before it failed is still on its way
            self._cuda.wait(self._stream)

    def _capture(self) -> None:
        try:
            self._graph = self._cuda.capture(self._send, self._stream)
            self._undo.append(("cudaGraphExecDestroy", self._graph))
        except DeviceLost:
            raise
        except EngineError:
            self._cuda.wait(self._stream)  # it is sent step by step, then, which was tried before

    def _allocate(self, profile: Profile, spec: GeneratorSpec) -> None:
        bucket, size = self.bucket, spec.image_size
        self._stream = self._cuda.stream()
        self._undo.append(("cudaStreamDestroy", self._stream))
        self._context = profile.engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory(f"no memory for a context of {bucket} images: {self._take_error()}")
        self._agrees(
            self._context.set_optimization_profile_async(profile.number, int(self._stream)), "its profile"
        )
        self._latent = self._tensor(LATENT, (bucket, spec.latent_dim), np.float32)
        self._class_vector = self._tensor(CLASS_VECTOR, (bucket, spec.num_classes), np.float32)
        self._images = self._tensor(IMAGES, (bucket, size, size, spec.channels), np.uint8)
        for name, (pinned, _) in ((LATENT, self._latent), (CLASS_VECTOR, self._class_vector)):
            self._agrees(self._context.set_input_shape(name, pinned.array.shape), f"the shape of {name}")

    def _tensor(self, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
        """Memory of a tensor on both sides, the context told of it."""
        pinned = self._cuda.pinned(shape, kind)
        self._undo.append(("cudaFreeHost", pinned.address))
        address = self._cuda.on_device(pinned.array.nbytes)
        self._undo.append(("cudaFree", address))
        self._agrees(self._context.set_tensor_address(name, address), f"the memory of {name}")
        return pinned, address

    def _agrees(self, done: bool, what: str) -> None:
        if not done:
            raise EngineError(f"TensorRT refuses {what} for {self.bucket} images: {self._take_error()}")

    def _send(self) -> None:
        """Sends the way of one batch to the stream."""
        for pinned, address in (self._latent, self._class_vector):
            self._cuda.copy_in(address, pinned, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            self._cuda.call("cudaGetLastError")  # a lost device is told of by CUDA, not by TensorRT
            error = self._take_error()
            kind = OutOfMemory if "memory" in error.lower() else EngineError
            raise kind(f"TensorRT failed on a batch of {self.bucket} images: {error}")
        self._cuda.copy_out(self._images[0], self._images[1], self._stream)

    def launch(self, latent: Floats, class_vector: Floats) -> None:
        """Sends 1 to `bucket` images on their way and returns at once. Raises EngineError."""
        count = len(latent)
        for (pinned, _), rows in ((self._latent, latent), (self._class_vector, class_vector)):
            pinned.array[:count] = rows
            pinned.array[count:] = 0  # what is computed to fill the bucket depends on nobody's request
        self.is_idle = False
        if self._graph is not None:
            self._cuda.launch(self._graph, self._stream)
        else:
            self._send()

    def collect(self, into: Pixels) -> None:
        """Waits for the batch and copies its images, uint8 [count, H, W, C]. Raises EngineError."""
        self.settle()
        into[...] = self._images[0].array[: len(into)]

    def settle(self) -> None:
        """Waits for what is on its way, so that the memory may be used again. Raises EngineError."""
        if not self.is_idle:
            self._cuda.wait(self._stream)
            self.is_idle = True

    def close(self) -> None:
        """Gives everything back; nothing may be on its way."""
        self._context = None
        self._finalizer()


def _undo(cuda: Cuda, undo: list[tuple[str, Any]]) -> None:
    """The last thing that was made goes first."""
    while undo:
        name, what = undo.pop()
        getattr(cuda.cudart, name)(what)  # an error of a lost device changes nothing any more
