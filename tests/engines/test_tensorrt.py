"""The way of a batch through TensorRT, on hardware that delays and reorders what it is told to do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from generator.artifact import Artifact
from generator.engines import DeviceLost, EngineError, Wanted
from generator.engines.tensorrt import SLOTS, TensorrtEngine
from tests.conftest import GREY
from tests.engines.opening import BUCKETS, batch, opened
from tests.engines.stand_in import hardware, images_of
from tests.engines.stand_in_cuda import Runtime


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


def test_an_engine_that_is_dropped_gives_its_memory_back(artifact: Artifact, shared_cache: Path) -> None:
    engine, runtime, _ = opened(artifact, shared_cache)
    assert runtime.memory
    engine.generate(*batch(9))
    del engine
    assert runtime.memory == {}
    assert runtime.violations == []
