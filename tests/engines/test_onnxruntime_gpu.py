"""onnxruntime on a GPU, as far as a machine without one can tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from generator.artifact import Artifact
from generator.engines import EngineError, Wanted
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.onnxruntime_gpu import CUDA, TENSORRT, Device, OnnxruntimeGpuEngine, find_device
from generator.latents import latents
from tests.conftest import GREY
from tests.engines.stand_in import hardware

CPU = Device("CPU", ("CPUExecutionProvider",), refuses_cpu=False)


def test_bound_inputs_and_outputs_make_the_same_images_for_every_batch(grey: Path) -> None:
    """On the CPU's provider: binding is the same for all."""
    artifact = Artifact.open(grey)
    bound, plain = OnnxruntimeGpuEngine(artifact, device=CPU), OnnxruntimeEngine(artifact)
    kept = []
    for count in (1, 7, 3):
        latent = latents(range(count), GREY.latent_dim)[::-1]  # not contiguous
        vectors = GREY.class_vectors([n % 3 for n in range(count)])
        made, expected = bound.generate(latent, vectors), plain.generate(latent, vectors)
        assert np.abs(made.astype(int) - expected).max() <= 1
        kept.append((made, made.copy()))
    for made, before in kept:  # nothing is written over by later calls
        np.testing.assert_array_equal(made, before)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_cannot_be_loaded_is_an_error_and_not_the_cpu(grey: Path) -> None:
    with pytest.raises(EngineError, match="onnxruntime cannot use a GPU"):
        OnnxruntimeGpuEngine(Artifact.open(grey), device=Device("GPU", (CUDA,)))
    with pytest.raises(EngineError, match=f"not {CUDA}; its log says why"):
        OnnxruntimeGpuEngine(Artifact.open(grey), device=Device("GPU", (CUDA,), refuses_cpu=False))


def test_float32_is_float32_and_not_its_first_eleven_digits(
    grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What onnxruntime is asked for; whether a GPU does so is told by `make gpu-check`."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    asked: list[Any] = []

    def session(graph: bytes, options: Any, providers: Any) -> Any:
        asked.extend(providers)
        raise RuntimeError("no GPU")

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(EngineError, match="no GPU"):
        OnnxruntimeGpuEngine(Artifact.open(grey), device=Device("GPU", (TENSORRT, CUDA)))
    assert asked == [(TENSORRT, {}), (CUDA, {"use_tf32": "0"})]
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_the_libraries_of_the_extra_are_loaded_before_the_provider_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    there = [CUDA, "CPUExecutionProvider"]

    def ask() -> list[str]:
        calls.append("ask")
        return there

    monkeypatch.setattr("generator.engines.onnxruntime_gpu.find_cuda", lambda: hardware(GREY)[0].cuda)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: calls.append("preload"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", ask)
    assert find_device() == Device("NVIDIA H200", (CUDA,))
    assert calls == ["preload", "ask"]
    there.remove(CUDA)
    with pytest.raises(EngineError, match="has no CUDAExecutionProvider; install the extra gpu"):
        find_device()


def test_it_has_no_fixed_batch(grey: Path) -> None:
    with pytest.raises(EngineError, match="no fixed batch, which only TensorRT has"):
        OnnxruntimeGpuEngine(Artifact.open(grey), wanted=Wanted(fixed_batch=4), device=CPU)
