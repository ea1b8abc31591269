"""CUDA's runtime without a GPU, as far as the engine uses it.

Work that is sent to a stream is only noted down. It is done later, at a moment that a random generator
chooses, in the order of its stream and in any order across streams, as on a GPU; at the latest when somebody
waits for the stream. A copy takes its bytes at that moment, so whoever changes memory too early, or reads it
too early, gets wrong images. Memory is filled with rubbish when it is given out and when it is taken back.
"""

# ruff: noqa: N802, N815 - the names are CUDA's

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

RUBBISH = 0xAB

Work = Callable[[], None]


class Error(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class CopyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


@dataclass
class Stream:
    number: int
    waiting: list[Work] = field(default_factory=list)
    captured: list[Work] | None = None

    def __int__(self) -> int:
        return self.number

    def take(self, work: Work) -> None:
        (self.waiting if self.captured is None else self.captured).append(work)


class Runtime:
    """cuda.bindings.runtime: functions return an error and what they give."""

    cudaError_t = Error
    cudaMemcpyKind = CopyKind
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaStreamNonBlocking = 1

    def __init__(
        self, seed: int = 0, name: str = "NVIDIA H200", capability: tuple[int, int] = (9, 0)
    ) -> None:
        self.random = random.Random(seed)
        self.lock = threading.RLock()
        self.name, self.capability = name, capability
        self.memory: dict[int, Any] = {}
        self.given_back: list[Any] = []
        self.streams: dict[int, Stream] = {}
        self.calls: list[str] = []  # in the order they came
        self.memory_left = 2**40
        self.lost = False
        self.can_capture = True
        self.last_error = Error.cudaSuccess
        self.violations: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.startswith("cuda") or not callable(value) or isinstance(value, type):
            return value

        def called(*arguments: Any) -> Any:
            with self.lock:
                self.calls.append(name)
                if self.lost and name != "cudaGetLastError":
                    return (Error.cudaErrorIllegalAddress, None)
                self.do_some()
                return value(*arguments)

        return called

    def do_some(self) -> None:
        """Whatever the GPU feels like doing now."""
        for _ in range(self.random.randrange(3)):
            busy = [stream for stream in self.streams.values() if stream.waiting]
            if busy:
                self.random.choice(busy).waiting.pop(0)()

    def _give(self, size: int) -> tuple[Error, int]:
        if size > self.memory_left:
            self.last_error = Error.cudaErrorMemoryAllocation
            return Error.cudaErrorMemoryAllocation, 0
        self.memory_left -= size
        memory = (ctypes.c_uint8 * max(size, 1))(*[RUBBISH] * size)
        address = ctypes.addressof(memory)
        self.memory[address] = memory
        return Error.cudaSuccess, address

    def _take_back(self, address: int) -> tuple[Error]:
        memory = self.memory.pop(address)
        ctypes.memset(address, RUBBISH, len(memory))
        self.memory_left += len(memory)
        self.given_back.append(memory)  # kept, so that a late write harms nobody
        return (Error.cudaSuccess,)

    def _copy(self, to: int, since: int, size: int) -> None:
        for address in (to, since):
            if address not in self.memory or size > len(self.memory[address]):
                self.violations.append(f"{size} bytes are copied where there is no such memory")
                return
        ctypes.memmove(to, since, size)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Error, Any]:
        major, minor = self.capability
        return Error.cudaSuccess, SimpleNamespace(name=self.name.encode() + b"\0", major=major, minor=minor)

    def cudaDriverGetVersion(self) -> tuple[Error, int]:
        return Error.cudaSuccess, 13000

    def cudaGetLastError(self) -> tuple[Error]:
        error, self.last_error = self.last_error, Error.cudaSuccess
        return (Error.cudaErrorIllegalAddress if self.lost else error,)

    def cudaMallocHost(self, size: int) -> tuple[Error, int]:
        return self._give(size)

    def cudaMalloc(self, size: int) -> tuple[Error, int]:
        return self._give(size)

    def cudaFreeHost(self, address: int) -> tuple[Error]:
        return self._take_back(address)

    def cudaFree(self, address: int) -> tuple[Error]:
        return self._take_back(address)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Error, Stream]:
        stream = Stream(1000 + len(self.streams))
        self.streams[stream.number] = stream
        return Error.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Error]:
        if stream.waiting:
            self.violations.append("a stream was destroyed that had work to do")
        return (Error.cudaSuccess,)

    def cudaMemcpyAsync(self, to: int, since: int, size: int, kind: int, stream: Stream) -> tuple[Error]:
        stream.take(lambda: self._copy(to, since, size))
        return (Error.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[Error]:
        if stream.captured is not None:
            return (Error.cudaErrorStreamCaptureUnsupported,)
        while stream.waiting:
            stream.waiting.pop(0)()
            self.do_some()
        return (Error.cudaErrorIllegalAddress,) if self.lost else (Error.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Error]:
        if not self.can_capture:
            return (Error.cudaErrorStreamCaptureUnsupported,)
        stream.captured = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Error, list[Work]]:
        graph, stream.captured = stream.captured or [], None
        return Error.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: list[Work], flags: int) -> tuple[Error, list[Work]]:
        return Error.cudaSuccess, list(graph)

    def cudaGraphDestroy(self, graph: list[Work]) -> tuple[Error]:
        graph.clear()
        return (Error.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph: list[Work]) -> tuple[Error]:
        graph.clear()
        return (Error.cudaSuccess,)

    def cudaGraphLaunch(self, graph: list[Work], stream: Stream) -> tuple[Error]:
        if not graph:
            self.violations.append("a graph was launched that holds nothing")
        for work in graph:
            stream.take(work)
        return (Error.cudaSuccess,)
