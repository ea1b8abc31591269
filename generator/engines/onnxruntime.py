"""onnxruntime on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from generator.artifact import Artifact
from generator.engines import EngineError
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT


class OnnxruntimeEngine:
    """An onnxruntime session on the CPU; an image's pixels do not depend on its batch.

    It takes the artifact's graph for CPUs, or where there is none the graph that every runtime takes.
    """

    best_batch = 16
    calls_at_once = 1

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        """Raises EngineError for a graph that cannot be loaded or is not a generator's."""
        file = artifact.cpu_onnx_file or artifact.onnx_file
        self._session = open_session(file, threads)
        names = {tensor.name for tensor in self._session.get_inputs()} | {
            tensor.name for tensor in self._session.get_outputs()
        }
        if names != {LATENT, CLASS_VECTOR, IMAGES}:
            raise EngineError(
                f"{file} has the tensors {sorted(names)}, not {LATENT}, {CLASS_VECTOR} "
                f"and {IMAGES}: it is not a generator's graph"
            )
        form = "-polyphase" if artifact.cpu_onnx_file else ""
        self.key = f"onnxruntime-{onnxruntime.__version__}-fp32-cpu{form}-{instruction_set()}"
        self.choice = f"onnxruntime on the CPU, the engine that runs everywhere, with {file.name}" + (
            ", the form of the graph that CPUs run fastest"
            if artifact.cpu_onnx_file
            else "; `python -m export complete` adds the form of the graph that CPUs run faster"
        )

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        try:
            outputs = self._session.run([IMAGES], {LATENT: latent, CLASS_VECTOR: class_vector})
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise EngineError(f"onnxruntime failed on a batch of {len(latent)}: {error}") from error
        return cast(Pixels, outputs[0])


def open_session(file: Path, threads: int | None = None) -> Any:
    """An onnxruntime session on the CPU; `threads` None means all cores. Raises EngineError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors
    # Threads that spin while they wait would take the cores from the server around the engine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise EngineError(f"onnxruntime cannot load {file}: {error}") from error


def instruction_set() -> str:
    """The widest vector instructions of this processor; kernels, and so last bits, depend on them."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    have = set(found.get("found", [])) | set(found.get("baseline", []))
    widest = (
        ("avx512", ("X86_V4", "AVX512_SKX", "AVX512F")),
        ("avx2", ("X86_V3", "AVX2")),
        ("sse", ("X86_V2", "SSE42", "SSE")),
        ("sve", ("SVE",)),
        ("neon", ("NEON", "ASIMD")),
    )
    return next((name for name, signs in widest if have & set(signs)), "generic")
