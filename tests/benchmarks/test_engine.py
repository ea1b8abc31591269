"""The engines alone: counted operations, honest percentiles, a small run from processes to picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engine.flops import flop_per_image
from benchmarks.engine.latency import Latency
from benchmarks.engine.picture import draw
from benchmarks.engine.report import tables
from benchmarks.engine.subjects import PLAIN, Subject, calls, offered
from benchmarks.engine.sweep import children, sweep, threads_of
from generator.artifact import Artifact
from generator.engines import EngineError


def test_operations_are_those_that_one_counts_by_hand(grey: Path) -> None:
    """Three classes, latent 5, 16 pixels before the crop to 14: 2 x 2 x 16, then 8, then 4 maps, then one."""
    graph = Artifact.open(grey).onnx_file
    kernels = 4 * 4
    first = (5 + 3) * 4 * 4 * 8  # one matrix product to 8 maps of 4 x 4
    ups = 4 * 4 * 8 * 4 * kernels + 8 * 8 * 4 * 1 * kernels
    assert flop_per_image(graph) == 2 * (first + ups)


def test_a_percentile_without_enough_calls_is_not_told() -> None:
    few = Latency.of([1.0] * 500)
    assert (few.count, few.p50_ms, few.p99_high_ms) == (500, 1.0, None)
    many = Latency.of([float(n) for n in range(10_000, 0, -1)])
    assert (many.p50_ms, many.p99_ms) == (5001, 9901)
    assert many.p99_low_ms is not None
    assert many.p99_low_ms < 9900 < (many.p99_high_ms or 0) < 9930
    with pytest.raises(ValueError, match="no calls"):
        Latency.of([])


def test_engines_are_those_of_the_generator_and_the_plain_one() -> None:
    assert set(offered()) == {"onnxruntime", "onnxruntime_gpu", "tensorrt", PLAIN}
    assert threads_of(1) == [1]
    assert threads_of(6) == [1, 2, 4, 6]
    assert Subject("onnxruntime", 1, 2).name == "onnxruntime, 2 processes of 1 thread"


def test_an_engine_that_cannot_start_is_told_with_its_reason(
    tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="manifest"), children(Subject(PLAIN, 1), tmp_path):
        pass

    def missing(artifact: Artifact, threads: int) -> None:
        raise ImportError("No module named 'tensorrt'")

    monkeypatch.setattr("benchmarks.engine.subjects.offered", lambda: {"tensorrt": missing})
    with pytest.raises(EngineError, match="tensorrt: No module named 'tensorrt'"):
        calls("tensorrt", grey, 1)


def test_a_small_run_becomes_tables_and_a_picture(grey: Path, tmp_path: Path) -> None:
    artifact = Artifact.open(grey)
    subjects = [Subject("onnxruntime", 1), Subject("onnxruntime", 1, processes=2)]
    measured = sweep(grey, subjects, [1, 4], repeats=2, seconds=0.02, tell=lambda text: None)
    result = {
        "manifest": {"settings": {"repeats": 2, "seconds": 0.02, "batches": [1, 4]}},
        "flop_per_image": flop_per_image(artifact.onnx_file),
        "missing": {"tensorrt": "no GPU"},
        **measured,
    }
    best, limit, alone, pair = tables(result)
    assert [row[0] for row in best.rows] == [subject.name for subject in subjects]
    assert "tensorrt (no GPU)" in best.note
    assert [row[0] for row in limit.rows] == ["matrix product, 1 thread", "matrix product, 2 threads"]
    assert [row[0] for row in alone.rows] == [row[0] for row in pair.rows] == ["1", "4"]
    assert all(len(engine["batches"]["1"]["images_per_s"]) == 2 for engine in result["engines"])
    assert best.rows[0][5].endswith("%")
    result["engines"][0]["is_on_cpu"] = False  # no share of what another processor multiplies
    assert tables(result)[0].rows[0][5] == ""
    draw(result, tmp_path / "engine.svg")
    assert "2 processes of 1 thread" in (tmp_path / "engine.svg").read_text()
