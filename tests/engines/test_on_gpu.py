"""What only a GPU can tell. `make gpu-test` runs these on a machine that has one, and they skip elsewhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main
from generator.artifact import Artifact
from generator.engines import EngineError, Precision, Wanted
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.onnxruntime_gpu import OnnxruntimeGpuEngine
from generator.engines.tensorrt import TensorrtEngine, find_hardware
from generator.latents import latents
from generator.pixels import Pixels

try:
    find_hardware()
    MISSING = ""
except EngineError as error:
    MISSING = str(error)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(MISSING), reason=MISSING or "nothing")]

PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "fp16"])


@pytest.fixture(scope="module")
def cache(rgb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    assert (
        main(["engine", str(rgb), "--cache", str(folder), "--buckets", "1", "2", "4", "8", "16", "32"]) == 0
    )
    return folder


def batch(artifact: Artifact, count: int) -> tuple[np.ndarray, np.ndarray]:
    spec = artifact.spec
    return (
        latents(range(count), spec.latent_dim, noise=spec.noise),
        spec.class_vectors([n % spec.num_classes for n in range(count)]),
    )


def off_by(made: Pixels, expected: Pixels) -> int:
    return int(np.abs(made.astype(int) - expected).max())


@PRECISIONS
def test_an_engine_that_was_built_here_has_its_parity_recorded_and_makes_the_cpus_images(
    rgb: Path, cache: Path, precision: Precision
) -> None:
    artifact = Artifact.open(rgb)
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=cache, precision=precision))
    assert engine.parity.max_pixel_error <= 1
    assert "CUDA graphs" in engine.choice
    assert "no CUDA graphs" not in engine.choice
    inputs = batch(artifact, 200)
    assert off_by(engine.generate(*inputs), OnnxruntimeEngine(artifact).generate(*inputs)) <= 1


@PRECISIONS
def test_replayed_graphs_make_what_single_steps_make(rgb: Path, cache: Path, precision: Precision) -> None:
    artifact = Artifact.open(rgb)
    wanted = Wanted(cache=cache, precision=precision)
    with_graphs, without = (TensorrtEngine(artifact, wanted=wanted, use_graphs=use) for use in (True, False))
    for count in (1, 3, 32, 50):
        inputs = batch(artifact, count)
        np.testing.assert_array_equal(with_graphs.generate(*inputs), without.generate(*inputs))


@PRECISIONS
def test_with_a_fixed_batch_no_image_depends_on_its_batch(
    rgb: Path, cache: Path, precision: Precision
) -> None:
    artifact = Artifact.open(rgb)
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=cache, precision=precision, fixed_batch=16))
    latent, vectors = batch(artifact, 64)
    together = engine.generate(latent, vectors)
    for size in (1, 2, 5, 16, 40):
        parts = [engine.generate(latent[n : n + size], vectors[n : n + size]) for n in range(0, 64, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_calls_side_by_side_get_their_own_images(rgb: Path, cache: Path) -> None:
    artifact = Artifact.open(rgb)
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=cache, precision="fp32", fixed_batch=8))
    latent, vectors = batch(artifact, 100)
    expected = engine.generate(latent, vectors)
    with ThreadPoolExecutor(2) as threads:
        made = list(
            threads.map(
                lambda n: engine.generate(latent[n % 90 : n % 90 + 10], vectors[n % 90 : n % 90 + 10]),
                range(400),
            )
        )
    for n, images in enumerate(made):
        np.testing.assert_array_equal(images, expected[n % 90 : n % 90 + 10])


def test_onnxruntime_on_the_gpu_makes_the_cpus_images(rgb: Path) -> None:
    artifact = Artifact.open(rgb)
    inputs = batch(artifact, 100)
    made = OnnxruntimeGpuEngine(artifact).generate(*inputs)
    assert off_by(made, OnnxruntimeEngine(artifact).generate(*inputs)) <= 1
