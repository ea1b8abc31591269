"""Which engine is taken, and what is said of those that are not."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from generator.__main__ import main
from generator.artifact import Artifact
from generator.engines import EngineError, Wanted, choose_engine
from generator.engines.cache import MANIFEST, PLAN, EngineKey, find_engines, store_engine
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.tensorrt import TensorrtEngine, find_hardware
from tests.conftest import GREY
from tests.engines.opening import PARITY, batch, cached, key_for, opened
from tests.engines.stand_in import hardware, images_of, plan

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


FOREIGN = some.one_of(
    some.none(), some.booleans(), some.integers(), some.text(max_size=5),
    some.lists(some.integers(), max_size=3),
    some.dictionaries(some.text(max_size=5), some.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    way=some.sampled_from(
        [(), ("files",), ("files", PLAN), ("parity",), ("parity", "batches"), ("schema_version",), ("key",)]
        + [("key", name) for name in EngineKey.__dataclass_fields__]
    ),
    foreign=FOREIGN,
    is_gone=some.booleans(),
)
def test_whatever_a_manifest_says_its_engine_is_refused_in_words_or_fits(
    artifact: Artifact, way: tuple[str, ...], foreign: Any, is_gone: bool
) -> None:
    told = "builds one"
    with tempfile.TemporaryDirectory() as folder:
        file = cached(Path(folder), artifact).path / MANIFEST
        content = within = {"": json.loads(file.read_text())}
        for name in ("", *way)[:-1]:
            within = within[name]
        within[("", *way)[-1]] = foreign
        if is_gone:
            del within[("", *way)[-1]]
        file.write_text(json.dumps(content.get("")))
        try:
            engine, _, _ = opened(artifact, Path(folder))
        except EngineError as error:
            told = str(error)
        else:
            inputs = batch(5)
            np.testing.assert_array_equal(engine.generate(*inputs), images_of(*inputs, GREY))
    assert told.endswith("builds one")


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


def test_an_engine_of_wrong_pixels_does_not_hinder_one_of_right_ones(
    artifact: Artifact, tmp_path: Path
) -> None:
    """It was never run; the one with larger batches is tried first, and says so while it is measured."""
    right = cached(tmp_path, artifact)
    cached(tmp_path, artifact, parity=None, buckets=(1, 2, 4, 8, 16))
    engine, runtime, _ = opened(artifact, tmp_path)
    assert engine.key.endswith(right.record.files[PLAN][:12])
    assert (engine.parity, engine.best_batch) == (PARITY, 8)
    inputs = batch(20)
    np.testing.assert_array_equal(engine.generate(*inputs), images_of(*inputs, GREY))
    assert runtime.violations == []


def test_what_is_not_wanted_is_not_taken(artifact: Artifact, cache: Path) -> None:
    with pytest.raises(EngineError, match="is fp32, and fp16 is wanted"):
        opened(artifact, cache, precision="fp16")
    with pytest.raises(EngineError, match="has no batch of 64, only of 1, 2, 4, 8"):
        opened(artifact, cache, fixed_batch=64)


def test_a_precision_that_the_generator_lacks_is_told_with_the_way_to_it(
    grey_of_an_earlier_version: Path, cache: Path
) -> None:
    artifact = Artifact.open(grey_of_an_earlier_version)
    with pytest.raises(EngineError, match=r"has no graph in it\. `python -m export complete .* adds one"):
        opened(artifact, cache, precision="fp16")


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
