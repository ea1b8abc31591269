"""The report about a GPU, tried with engines that are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import results
from benchmarks.__main__ import main
from benchmarks.gpu_check.measuring import measure, parity
from benchmarks.gpu_check.report import draw, failures, page, tables
from benchmarks.gpu_check.ways import CPU, all_ways, open_ways
from generator.artifact import Artifact
from generator.engines import EngineError
from generator.engines.cuda import find_cuda
from generator.engines.onnxruntime import OnnxruntimeEngine
from generator.engines.onnxruntime_gpu import OnnxruntimeGpuEngine
from tests.conftest import GREY
from tests.engines.test_onnxruntime_gpu import CPU as CPU_DEVICE

SETTINGS: dict[str, Any] = {"batches": [1, 4], "seeds": 30, "repeats": 2, "seconds": 0.005}


class Brighter(OnnxruntimeEngine):
    """Images that are two steps too bright."""

    def generate(self, latent: Any, class_vector: Any) -> Any:
        return super().generate(latent, class_vector) // 2 + np.uint8(2)


def no_gpu(artifact: Artifact) -> Any:
    raise EngineError("no GPU")


def checked(grey: Path) -> dict[str, Any]:
    artifact = Artifact.open(grey)
    ways = open_ways(
        artifact,
        {
            CPU: OnnxruntimeEngine,
            "bound": lambda artifact: OnnxruntimeGpuEngine(artifact, device=CPU_DEVICE),
            "brighter": Brighter,
            "TensorRT": no_gpu,
        },
    )
    gpu = {"name": "NVIDIA H200", "compute_capability": "9.0", "driver": "13.0"}
    manifest = {
        "created": "2026-01-01T00:00:00+00:00",
        "hardware": {"processor": "a processor", "cores": 2, "gpu": gpu},
        "system": "Linux",
        "versions": {"tensorrt": "11.4.0.106"},
        "generator": {"id": artifact.manifest.id},
        "command": ["python", "-m", "benchmarks", "gpu-check"],
        "settings": SETTINGS,
    }
    measured = measure(ways, GREY, **SETTINGS, tell=lambda text: None)
    return {"manifest": manifest, "missing": ways.missing, "ways": measured}


def test_a_check_becomes_tables_a_page_and_a_picture(grey: Path, tmp_path: Path) -> None:
    result = checked(grey)
    overview, rates, times, missing = tables(result)
    assert [row[0] for row in overview.rows] == [CPU, "bound", "brighter"]
    assert overview.rows[0][1:3] == (f"0 of {30 * 14 * 14:,}", "0")
    assert [len(row) for row in rates.rows + times.rows] == [3] * 6
    assert missing.rows == [("TensorRT", "no GPU")]
    assert all(len(way["batches"]["4"]["images_per_s"]) == 2 for way in result["ways"])
    written = page(result)
    assert "on NVIDIA H200 (compute capability 9.0, CUDA 13.0), a processor with 2 cores" in written
    assert "tensorrt 11.4.0.106" in written
    draw(result, tmp_path / "check.svg")
    assert "brighter" in (tmp_path / "check.svg").read_text()


def test_other_images_than_the_cpus_are_a_failure_and_single_steps_are_none(grey: Path) -> None:
    result = checked(grey)
    assert failures(result) == ["brighter"]
    artifact = Artifact.open(grey)
    found = parity(Brighter(artifact), OnnxruntimeEngine(artifact), GREY, 130)
    assert found["seeds"] == 130
    assert found["compared_values"] == 130 * 14 * 14
    assert found["max_pixel_error"] > 1


def test_every_way_that_is_promised_is_tried(tmp_path: Path) -> None:
    assert list(all_ways(tmp_path)) == [
        "onnxruntime, CPU", "onnxruntime, CUDA", "TensorRT, fp32", "TensorRT, fp32, CUDA graphs",
        "TensorRT, fp16", "TensorRT, fp16, CUDA graphs",
    ]  # fmt: skip


def test_without_a_gpu_the_command_says_what_is_missing_or_tries_the_report(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        find_cuda()
    except EngineError as error:
        reason = str(error)
    else:
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    small = ["--model", str(grey), "--batches", "1", "--seeds", "3", "--repeats", "1", "--seconds", "0.01"]
    assert main(["gpu-check", *small]) == 2
    assert f"nothing can be checked here: {reason}" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
    assert main(["gpu-check", *small, "--without-gpu"]) == 0
    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} == {"report.md", "result.json", "gpu-check.svg"}
    result = json.loads((folder / "result.json").read_text())
    assert len(result["missing"]) == 5
    assert all(reason in why for why in result["missing"].values())
    assert "on no GPU" in (folder / "report.md").read_text()
