"""The way of a batch through TensorRT, on hardware that delays and reorders what it is told to do."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from generator.__main__ import main
from generator.artifact import ONNX, Artifact
from generator.engines import DeviceLost, EngineError, Wanted, choose_engine
from generator.engines.cache import (
    LAYERS,
    MANIFEST,
    PLAN,
    CacheEntry,
    EngineKey,
    find_engines,
    store_engine,
)
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.parity import PixelParity
from generator.engines.tensorrt import SLOTS, TensorrtEngine, find_hardware
from tests.conftest import GREY
from tests.engines.stand_in import RUNTIME, Runtime, Tensorrt, hardware, images_of, plan

BUCKETS = (1, 2, 4, 8)
PARITY = PixelParity("onnxruntime", (1,), 0, 0, 1)


def key_for(artifact: Artifact, **changes: Any) -> EngineKey:
    sha256 = artifact.manifest.files[ONNX]
    key = EngineKey(artifact.manifest.digest, sha256, RUNTIME, "NVIDIA H200", "9.0", "fp32", BUCKETS)
    return replace(key, **changes)


def cached(
    cache: Path, artifact: Artifact, parity: PixelParity | None = PARITY, **changes: Any
) -> CacheEntry:
    key = key_for(artifact, **changes)
    files = {PLAN: plan(key.buckets), LAYERS: b"[]"}
    return store_engine(cache, key, files, parity=parity, options={}, created="")


@pytest.fixture(scope="module")
def artifact(grey: Path) -> Artifact:
    return Artifact.open(grey)


@pytest.fixture
def cache(tmp_path: Path, artifact: Artifact) -> Path:
    cached(tmp_path, artifact)
    return tmp_path


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, artifact: Artifact) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    cached(folder, artifact)
    return folder


def opened(
    artifact: Artifact, cache: Path, seed: int = 0, use_graphs: bool = True, **wanted: Any
) -> tuple[TensorrtEngine, Runtime, Tensorrt]:
    gpu, runtime, trt = hardware(GREY, seed)
    engine = TensorrtEngine(
        artifact, wanted=Wanted(cache=cache, **wanted), hardware=gpu, use_graphs=use_graphs
    )
    return engine, runtime, trt


def batch(count: int, first: int = 0) -> tuple[Any, Any]:
    """Latents that are told apart by their first component."""
    rng = np.random.default_rng(first)
    latent = rng.standard_normal((count, GREY.latent_dim)).astype(np.float32)
    vectors = GREY.class_vectors([n % GREY.num_classes for n in range(count)])
    return latent, vectors


@settings(max_examples=60, deadline=None)
@given(
    counts=some.lists(some.integers(0, 40), min_size=1, max_size=6),
    seed=some.integers(0, 2**32),
    use_graphs=some.booleans(),
    fixed=some.sampled_from([None, 4]),
)
def test_each_image_comes_back_to_its_request_whatever_the_sizes(
    artifact: Artifact, shared_cache: Path, counts: list[int], seed: int, use_graphs: bool, fixed: int | None
) -> None:
    engine, runtime, _ = opened(artifact, shared_cache, seed, use_graphs, fixed_batch=fixed)
    for number, count in enumerate(counts):
        inputs = batch(count, number)
        made = engine.generate(*inputs)
        assert made.shape == (count, 14, 14, 1)
        if count:
            np.testing.assert_array_equal(made, images_of(*inputs, GREY))
    assert runtime.violations == []


@settings(max_examples=30, deadline=None)
@given(
    sizes=some.lists(some.lists(some.integers(1, 20), min_size=1, max_size=4), min_size=2, max_size=2),
    seed=some.integers(0, 2**32),
    memory_for=some.sampled_from([None, 0, 1, 2]),
)
def test_calls_side_by_side_never_share_anything(
    artifact: Artifact, shared_cache: Path, sizes: list[list[int]], seed: int, memory_for: int | None
) -> None:
    """`memory_for`: of so many launches on, one runs out of memory and its batch goes in halves."""
    engine, runtime, _ = opened(artifact, shared_cache, seed, use_graphs=memory_for is None)
    failed: list[str] = []
    if memory_for is not None:
        _out_of_memory_at(runtime, memory_for)

    def call(counts: Sequence[int], first: int) -> None:
        for number, count in enumerate(counts):
            inputs = batch(count, first + number)
            try:
                if not np.array_equal(engine.generate(*inputs), images_of(*inputs, GREY)):
                    failed.append(f"other images of a batch of {count}")
            except EngineError as error:
                if "something else uses it" not in str(error):
                    failed.append(str(error))

    threads = [threading.Thread(target=call, args=(counts, 100 * n)) for n, counts in enumerate(sizes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert failed == []
    assert runtime.violations == []


def _out_of_memory_at(runtime: Runtime, launch: int) -> None:
    """The copy into the GPU that comes after so many others fails once for want of memory."""
    whole, left = runtime.cudaMemcpyAsync, [launch]

    def copy(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            return (runtime.cudaError_t.cudaErrorMemoryAllocation,)
        return whole(*arguments)

    vars(runtime)["cudaMemcpyAsync"] = copy


def test_what_fills_a_batch_is_zeros_and_goes_nowhere(artifact: Artifact, shared_cache: Path) -> None:
    seen: list[Any] = []

    def make(latent: Any, vectors: Any, spec: Any) -> Any:
        seen.append((latent.copy(), vectors.copy()))
        return images_of(latent, vectors, spec)

    gpu, _, _ = hardware(GREY, make=make)
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=shared_cache), hardware=gpu)
    engine.generate(*batch(8))
    engine.generate(*batch(8, 1))  # both slots have held others' latents by now
    for _ in range(2):
        latent, vectors = batch(5)
        assert len(engine.generate(latent, vectors)) == 5
        np.testing.assert_array_equal(seen[-1][0][:5], latent)
        assert not seen[-1][0][5:].any()
        assert not seen[-1][1][5:].any()


def test_a_batch_goes_in_order_and_is_replayed_as_one_graph(artifact: Artifact, shared_cache: Path) -> None:
    engine, runtime, _ = opened(artifact, shared_cache)
    in_warm_up = runtime.calls.count("cudaGraphInstantiate")
    assert in_warm_up == SLOTS * len(BUCKETS)
    runtime.calls.clear()
    engine.generate(*batch(3))
    assert runtime.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"]
    engine, runtime, _ = opened(artifact, shared_cache, use_graphs=False)
    runtime.calls.clear()
    engine.generate(*batch(3))
    copies = ["cudaMemcpyAsync"] * 2
    assert runtime.calls == [*copies, "execute_async_v3", "cudaMemcpyAsync", "cudaStreamSynchronize"]


def test_the_next_batch_is_sent_before_the_one_before_is_waited_for(
    artifact: Artifact, shared_cache: Path
) -> None:
    engine, runtime, _ = opened(artifact, shared_cache)
    runtime.calls.clear()
    engine.generate(*batch(24))
    launch, wait = "cudaGraphLaunch", "cudaStreamSynchronize"
    assert runtime.calls == [launch, launch, wait, launch, wait, wait]


def test_a_fixed_batch_computes_everything_in_one_size(artifact: Artifact, shared_cache: Path) -> None:
    sizes: list[int] = []

    def make(latent: Any, vectors: Any, spec: Any) -> Any:
        sizes.append(len(latent))
        return images_of(latent, vectors, spec)

    gpu, _, _ = hardware(GREY, make=make)
    wanted = Wanted(cache=shared_cache, fixed_batch=4)
    engine = TensorrtEngine(artifact, wanted=wanted, hardware=gpu)
    for count in (1, 2, 3, 4, 5, 11):
        engine.generate(*batch(count))
    assert set(sizes) == {4}
    assert "fixed4" in engine.key


def test_work_that_cannot_be_captured_is_sent_step_by_step(artifact: Artifact, shared_cache: Path) -> None:
    gpu, runtime, _ = hardware(GREY)
    runtime.can_capture = False
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=shared_cache), hardware=gpu)
    assert "no CUDA graphs" in engine.choice
    inputs = batch(7)
    np.testing.assert_array_equal(engine.generate(*inputs), images_of(*inputs, GREY))


def test_out_of_memory_halves_the_batch_and_the_request_is_still_answered(
    artifact: Artifact, shared_cache: Path
) -> None:
    engine, runtime, _ = opened(artifact, shared_cache, use_graphs=False)
    before = runtime.memory_left
    _out_of_memory_at(runtime, 0)
    inputs = batch(8)
    np.testing.assert_array_equal(engine.generate(*inputs), images_of(*inputs, GREY))
    assert runtime.memory_left > before  # that of the batches of 8 was given back
    runtime.calls.clear()
    engine.generate(*inputs)
    assert runtime.calls.count("execute_async_v3") == 2
    assert runtime.violations == []


def test_a_gpu_without_memory_for_all_batches_takes_smaller_ones(
    artifact: Artifact, shared_cache: Path
) -> None:
    gpu, _, trt = hardware(GREY)
    trt.contexts_left = 2 * SLOTS + 1
    engine = TensorrtEngine(artifact, wanted=Wanted(cache=shared_cache), hardware=gpu)
    assert engine.best_batch == 2
    assert "batches of 2 at most, for no memory for a context of 4 images" in engine.choice
    inputs = batch(7)
    np.testing.assert_array_equal(engine.generate(*inputs), images_of(*inputs, GREY))


def test_a_fixed_batch_is_never_halved(artifact: Artifact, shared_cache: Path) -> None:
    engine, runtime, _ = opened(artifact, shared_cache, use_graphs=False, fixed_batch=8)
    _out_of_memory_at(runtime, 0)
    with pytest.raises(EngineError, match="choose a smaller fixed batch"):
        engine.generate(*batch(3))
    assert len(engine.generate(*batch(3))) == 3


def test_a_lost_device_is_told_as_such_at_once_and_for_ever(artifact: Artifact, shared_cache: Path) -> None:
    engine, runtime, _ = opened(artifact, shared_cache)
    runtime.lost = True
    for _ in range(2):
        with pytest.raises(DeviceLost, match="cudaErrorIllegalAddress"):
            engine.generate(*batch(3))
    runtime.lost = False
    with pytest.raises(DeviceLost):
        engine.generate(*batch(3))


def test_a_failure_of_tensorrt_alone_is_no_lost_device(artifact: Artifact, shared_cache: Path) -> None:
    engine, _, trt = opened(artifact, shared_cache, use_graphs=False)
    trt.fails = True
    with pytest.raises(EngineError, match="failed on a batch of 4 images: Cask: the launch failed") as raised:
        engine.generate(*batch(3))
    assert not isinstance(raised.value, DeviceLost)
    trt.fails = False
    assert len(engine.generate(*batch(3))) == 3


Harm = Callable[[Path, Artifact], None]


def _changed_byte(cache: Path, artifact: Artifact) -> None:
    file = cached(cache, artifact).path / PLAN
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _truncated(cache: Path, artifact: Artifact) -> None:
    file = cached(cache, artifact).path / PLAN
    file.write_bytes(file.read_bytes()[:-1])


def _gone(cache: Path, artifact: Artifact) -> None:
    (cached(cache, artifact).path / PLAN).unlink()


def _no_plan(cache: Path, artifact: Artifact) -> None:
    store_engine(cache, key_for(artifact), {PLAN: b"no plan"}, parity=PARITY, options={}, created="")


def _other_batches(cache: Path, artifact: Artifact) -> None:
    store_engine(cache, key_for(artifact), {PLAN: plan([1])}, parity=PARITY, options={}, created="")


def _broken_manifest(cache: Path, artifact: Artifact) -> None:
    (cached(cache, artifact).path / MANIFEST).write_text("{")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda c, a: cached(c, a, gpu="NVIDIA A10", compute_capability="8.6"),
         "was built for NVIDIA A10 of compute capability 8.6, this is NVIDIA H200 of 9.0"),
        (lambda c, a: cached(c, a, gpu="NVIDIA H100"), "was built for NVIDIA H100"),
        (lambda c, a: cached(c, a, gpu="any", compute_capability="8.9"), "was built for any GPU of compute"),
        (lambda c, a: cached(c, a, runtime="tensorrt-10.16.1.11"),
         "needs tensorrt-10.16.1.11, and there is tensorrt-11.4.0.106"),
        (lambda c, a: cached(c, a, graph_sha256="0" * 64), "was built of another graph"),
        (lambda c, a: cached(c, a, precision="fp16"), "was built of another graph"),
        (lambda c, a: cached(c, a, digest="0" * 64), "has none of grey@"),
        (_changed_byte, "was changed or is not whole"),
        (_truncated, "was changed or is not whole"),
        (_gone, r"engine\.plan cannot be read: No such file"),
        (_no_plan, r"TensorRT cannot open .*: Serialization assertion failed"),
        (_other_batches, "has other batch sizes than its manifest says"),
        (_broken_manifest, r"manifest\.json: Expecting property name"),
    ],
    ids=["other GPU", "other name", "other capability", "other version", "other graph", "other precision",
         "other generator", "changed", "truncated", "gone", "no plan", "other batches", "broken manifest"],
)  # fmt: skip
def test_an_engine_that_does_not_fit_is_refused_with_the_reason(
    artifact: Artifact, tmp_path: Path, harm: Harm, reason: str
) -> None:
    harm(tmp_path, artifact)
    with pytest.raises(EngineError, match=reason) as raised:
        opened(artifact, tmp_path)
    assert f"`python -m export engine {artifact.opened_by}` builds one" in str(raised.value)


def test_a_wrong_engine_does_not_hinder_a_right_one(artifact: Artifact, tmp_path: Path) -> None:
    right = cached(tmp_path, artifact)
    wrong = cached(tmp_path, artifact, buckets=(1, 2, 4, 8, 16))
    (wrong.path / PLAN).write_bytes(b"")
    engine, _, _ = opened(artifact, tmp_path)
    assert engine.key.endswith(right.record.files[PLAN][:12])


def test_an_engine_that_was_never_run_has_its_parity_measured_first(
    artifact: Artifact, tmp_path: Path
) -> None:
    cached(tmp_path, artifact, parity=None)
    with pytest.raises(EngineError, match="makes other images than onnxruntime"):
        opened(artifact, tmp_path)
    cpu = OnnxruntimeEngine(artifact)
    gpu, _, _ = hardware(GREY, make=lambda latent, vectors, spec: cpu.generate(latent, vectors))
    parity = TensorrtEngine(artifact, wanted=Wanted(cache=tmp_path), hardware=gpu).parity
    assert (parity.max_pixel_error, parity.compared_pixels) == (0, 68 * 14 * 14)


def test_what_is_not_wanted_is_not_taken(artifact: Artifact, cache: Path) -> None:
    with pytest.raises(EngineError, match="is fp32, and fp16 is wanted"):
        opened(artifact, cache, precision="fp16")
    with pytest.raises(EngineError, match="has no batch of 64, only of 1, 2, 4, 8"):
        opened(artifact, cache, fixed_batch=64)


def test_an_engine_that_is_dropped_gives_its_memory_back(artifact: Artifact, shared_cache: Path) -> None:
    engine, runtime, _ = opened(artifact, shared_cache)
    assert runtime.memory
    engine.generate(*batch(9))
    del engine
    assert runtime.memory == {}
    assert runtime.violations == []


def test_without_a_gpu_the_command_line_says_what_is_missing(
    grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        find_hardware()
    except EngineError as error:
        missing = str(error)
    else:
        pytest.skip("this machine has a GPU and TensorRT")
    out = tmp_path / "images"
    assert main([str(grey), "--label", "0", "--engine", "tensorrt", "--out", str(out)]) == 2
    assert capsys.readouterr().err.strip() == f"error: {missing}"
    assert not out.exists()


def test_the_cache_keeps_an_engine_when_another_takes_its_place_and_leaves_nothing_beside_it(
    artifact: Artifact, cache: Path
) -> None:
    (before,), wrong = find_engines(cache, artifact.manifest.digest)
    again = cached(cache, artifact)
    assert (again.path, wrong) == (before.path, [])
    assert [path.name for path in before.path.parent.iterdir()] == [before.path.name]
    assert asdict(again.record) == asdict(before.record)


def test_the_best_engine_that_runs_is_chosen_and_the_others_are_told_of(
    artifact: Artifact, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.engines.tensorrt.find_hardware", lambda: hardware(GREY)[0])
    chosen = choose_engine(artifact, Wanted(cache=cache))
    assert chosen.engine.key.startswith("tensorrt-11.4.0.106-fp32-NVIDIA H200-sm9.0")
    assert chosen.not_taken == ()
    shutil.rmtree(cache)
    chosen = choose_engine(artifact, Wanted(cache=cache))
    assert chosen.engine.key.startswith("onnxruntime-")
    assert [name for name, _ in chosen.not_taken] == ["tensorrt", "onnxruntime-gpu"]
    assert "has none of grey@" in chosen.not_taken[0][1]
