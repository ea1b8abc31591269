"""onnxruntime on an NVIDIA GPU: the second choice, which needs no engine built ahead."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from generator.artifact import Artifact
from generator.engines import DeviceLost, EngineError, Wanted
from generator.engines.cuda import find_cuda
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
TENSORRT_LIBRARY = "libnvinfer.so.10"  # the version that onnxruntime's provider is linked with
# A GPU would compute float32 with TF32's eleven binary digits, unless told not to.
OPTIONS = {CUDA: {"use_tf32": "0"}}
ENVIRONMENT = {"NVIDIA_TF32_OVERRIDE": "0"}  # onnxruntime has no such option for TensorRT
LOST = ("cudaErrorIllegalAddress", "illegal memory access", "device is lost", "CUDA failure 700", "ECC error")
CANNOT = "onnxruntime cannot use a GPU"


@dataclass(frozen=True)
class Device:
    """What onnxruntime computes on."""

    name: str
    providers: tuple[str, ...]  # the first is what is wanted
    refuses_cpu: bool = True  # for what no provider of these can


class OnnxruntimeGpuEngine:
    """A session on the GPU whose inputs and outputs are bound, in float32.

    onnxruntime would compute on the CPU what a provider cannot, and everything where the provider cannot be
    loaded, without a word. Here both are errors.
    """

    best_batch = 64
    calls_at_once = 1

    def __init__(
        self,
        artifact: Artifact,
        threads: int | None = None,
        *,
        wanted: Wanted | None = None,
        device: Device | None = None,
    ) -> None:
        """`threads` is for engines on a CPU. Raises EngineError."""
        if wanted and wanted.fixed_batch:
            raise EngineError(f"{CANNOT}: it has no fixed batch, which only TensorRT has")
        device = device or find_device()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        if device.refuses_cpu:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        os.environ.update(ENVIRONMENT)
        providers = [(name, OPTIONS.get(name, {})) for name in device.providers]
        file = artifact.onnx_file
        try:
            self._session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=providers)
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise EngineError(f"{CANNOT}: it cannot load {file}: {error}") from error
        first = self._session.get_providers()[0]
        if first != device.providers[0]:
            raise EngineError(f"{CANNOT}: it took {first}, not {device.providers[0]}; its log says why")
        name = first.removesuffix("ExecutionProvider").lower()
        self.key = f"onnxruntime-{onnxruntime.__version__}-fp32-{name}-{device.name}"
        self.choice = f"onnxruntime's {name} provider on {device.name}"

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        try:
            binding = self._session.io_binding()
            binding.bind_cpu_input(LATENT, np.ascontiguousarray(latent))
            binding.bind_cpu_input(CLASS_VECTOR, np.ascontiguousarray(class_vector))
            binding.bind_output(IMAGES)  # into memory of this machine, without a copy in between
            self._session.run_with_iobinding(binding)
            return cast(Pixels, binding.copy_outputs_to_cpu()[0])
        except Exception as error:  # onnxruntime's own exceptions have no common base
            kind = DeviceLost if any(sign in str(error) for sign in LOST) else EngineError
            raise kind(f"onnxruntime failed on a batch of {len(latent)}: {error}") from error


def find_device() -> Device:
    """CUDA's provider, and TensorRT's where its library is there in the right version.

    Raises EngineError with what is missing.
    """
    try:
        gpu = find_cuda().gpu().name
    except EngineError as error:
        raise EngineError(f"{CANNOT}: {error}") from error
    onnxruntime.preload_dlls()  # CUDA's and cuDNN's libraries of the extra gpu: the loader does not find them
    there = onnxruntime.get_available_providers()
    if CUDA not in there:
        raise EngineError(f"{CANNOT}: it has no {CUDA}; install the extra gpu in the place of cpu")
    try:
        ctypes.CDLL(TENSORRT_LIBRARY)
    except OSError:
        return Device(gpu, (CUDA,))
    return Device(gpu, (TENSORRT, CUDA) if TENSORRT in there else (CUDA,))
