"""onnxruntime on an NVIDIA GPU: the second choice, which needs no engine built ahead."""

from __future__ import annotations

import ctypes
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from generator.artifact import Artifact
from generator.engines import DeviceLost, EngineError
from generator.engines.cuda import find_cuda
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
TENSORRT_LIBRARY = "libnvinfer.so.10"  # the version that onnxruntime's provider is linked with
LOST = ("cudaErrorIllegalAddress", "illegal memory access", "device is lost", "CUDA failure 700", "ECC error")


class OnnxruntimeGpuEngine:
    """A session on the GPU whose inputs and outputs are bound, in float32.

    onnxruntime would compute on the CPU what a provider cannot, and everything where the provider cannot be
    loaded, without a word. Here both are errors.
    """

    best_batch = 64
    calls_at_once = 1

    def __init__(
        self, artifact: Artifact, threads: int | None = None, *, providers: tuple[str, ...] | None = None
    ) -> None:
        """`threads` is for engines on a CPU. `providers` are those to use, the first being what is wanted.

        Raises EngineError.
        """
        device = "GPU"
        if providers is None:
            device, providers = find_cuda().gpu().name, find_providers()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        if "CPUExecutionProvider" not in providers:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        file = artifact.onnx_file
        try:
            self._session = onnxruntime.InferenceSession(
                file.read_bytes(), options, providers=list(providers)
            )
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise EngineError(f"onnxruntime cannot load {file} on the GPU: {error}") from error
        first = self._session.get_providers()[0]
        if first != providers[0]:
            raise EngineError(f"onnxruntime took {first}, not {providers[0]}: its log says why")
        name = first.removesuffix("ExecutionProvider").lower()
        self.key = f"onnxruntime-{onnxruntime.__version__}-fp32-{name}-{device}"
        self.choice = f"onnxruntime's {name} provider on {device}"

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


def find_providers() -> tuple[str, ...]:
    """TensorRT's where its library is there in the right version, and CUDA's. Raises EngineError."""
    there = onnxruntime.get_available_providers()
    if CUDA not in there:
        raise EngineError(
            f"this onnxruntime has {', '.join(there)}, not {CUDA}: install the extra gpu in the place of cpu"
        )
    try:
        ctypes.CDLL(TENSORRT_LIBRARY)
    except OSError:
        return (CUDA,)
    return (TENSORRT, CUDA) if TENSORRT in there else (CUDA,)
