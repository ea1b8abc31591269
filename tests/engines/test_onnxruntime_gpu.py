"""onnxruntime on a GPU, as far as a machine without one can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generator.artifact import Artifact
from generator.engines import EngineError, Wanted
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.onnxruntime_gpu import CUDA, Device, OnnxruntimeGpuEngine
from generator.latents import latents
from tests.conftest import GREY

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


def test_it_has_no_fixed_batch(grey: Path) -> None:
    with pytest.raises(EngineError, match="no fixed batch, which only TensorRT has"):
        OnnxruntimeGpuEngine(Artifact.open(grey), wanted=Wanted(fixed_batch=4), device=CPU)
