"""An artifact of an earlier version gets what a newer one writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import artifact as export_artifact
from export.__main__ import main
from export.artifact import complete_artifact
from export.cpu_graph import cpu_graph
from export.parity import ParityError
from generator import Generator
from generator.artifact import Artifact, ArtifactError
from tests.conftest import of_an_earlier_version


@pytest.fixture
def earlier(grey: Path, tmp_path: Path) -> Path:
    return of_an_earlier_version(grey, tmp_path / "grey")


def test_completing_an_earlier_artifact_gives_the_files_that_exporting_gives(
    earlier: Path, grey: Path
) -> None:
    completed, exported = complete_artifact(earlier).manifest, Artifact.open(grey).manifest
    assert completed.files == exported.files
    assert completed.digest == exported.digest


def test_completing_keeps_what_was_recorded_and_says_what_parity_was_measured_against(earlier: Path) -> None:
    before = Artifact.open(earlier).record_metrics({"gan_test": {"agreement": 0.5}}).manifest
    after = complete_artifact(earlier).manifest
    assert after.provenance == before.provenance
    assert after.metrics == before.metrics
    assert after.name == before.name
    assert after.parity["onnxruntime-fp32-cpu"] == before.parity["onnxruntime-fp32-cpu"]
    parity = after.parity["onnxruntime-fp32-cpu-polyphase"]
    assert parity.reference == "generator.onnx"
    assert parity.max_abs_error <= 1e-5
    assert parity.max_pixel_error <= 1
    assert parity.compared_pixels == 68 * 14 * 14


def test_a_graph_in_float64_stands_for_the_network_it_was_exported_from(earlier: Path, grey: Path) -> None:
    engine = "onnxruntime-fp32-cpu-polyphase"
    to_graph, to_network = (
        complete_artifact(earlier).manifest.parity[engine],
        Artifact.open(grey).manifest.parity[engine],
    )
    assert to_graph.max_abs_error == pytest.approx(to_network.max_abs_error, abs=1e-6)
    assert to_graph.differing_pixels == pytest.approx(to_network.differing_pixels, abs=1)


def test_a_complete_artifact_is_not_touched(earlier: Path) -> None:
    completed = complete_artifact(earlier)
    written = {file: file.stat().st_mtime_ns for file in earlier.iterdir()}
    assert complete_artifact(earlier) == completed
    assert {file: file.stat().st_mtime_ns for file in earlier.iterdir()} == written


def test_completing_leaves_nothing_beside_the_artifact(earlier: Path) -> None:
    complete_artifact(earlier)
    assert list(earlier.parent.iterdir()) == [earlier]


def test_completing_behind_a_symlink_keeps_the_earlier_version(earlier: Path) -> None:
    before = Artifact.open(earlier)
    link = earlier.parent / "live"
    link.symlink_to("grey")
    after = complete_artifact(link)
    assert link.resolve().name == after.manifest.id != before.manifest.id
    assert Artifact.open(earlier) == before


def test_a_file_that_the_manifest_does_not_list_is_not_lost(earlier: Path) -> None:
    (earlier / "notes.txt").write_text("precious")
    with pytest.raises(ArtifactError, match=r"holds notes\.txt, which is not in its manifest"):
        complete_artifact(earlier)
    assert (earlier / "notes.txt").exists()


def test_a_graph_for_cpus_that_makes_other_images_leaves_the_artifact_as_it_was(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Artifact.open(earlier)

    def of_other_weights(graph: bytes) -> bytes:
        model = onnx.load_model_from_string(cpu_graph(graph))
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "generator.last.bias"]
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
        content: bytes = model.SerializeToString()
        return content

    monkeypatch.setattr(export_artifact, "cpu_graph", of_other_weights)
    with pytest.raises(ParityError):
        complete_artifact(earlier)
    assert Artifact.open(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


@pytest.fixture
def without_fp16(earlier: Path) -> Path:
    """As `python -m export` wrote it before there were graphs in float16."""
    complete_artifact(earlier, fp16_error=1e-9)
    assert Artifact.open(earlier).graph_of("fp16") is None
    return earlier


def test_the_graph_in_float16_is_added_in_place_and_the_version_stays(without_fp16: Path, grey: Path) -> None:
    link = without_fp16.parent / "live"
    link.symlink_to("grey")
    before = Artifact.open(link).manifest
    after = complete_artifact(link).manifest
    assert after.id == before.id
    assert link.resolve() == without_fp16
    assert after.files == Artifact.open(grey).manifest.files
    parity = after.parity["onnxruntime-fp16-cpu"]
    assert parity.reference == "generator.onnx"
    assert 1e-5 < parity.max_abs_error <= 2e-3
    assert {file.name for file in without_fp16.iterdir()} == {"manifest.json", *after.files}


def test_a_generator_that_float16_is_too_coarse_for_comes_without_and_is_told_of(
    without_fp16: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Artifact.open(without_fp16)
    assert main(["complete", str(without_fp16), "--fp16-error", "1e-6"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "it has no generator.fp16.onnx, and GPUs compute it in float32: parity failed" in told
    assert "(allowed 1e-06)" in told
    assert "lacks nothing" not in told
    assert Artifact.open(without_fp16) == before


def test_the_command_completes_and_tells_when_there_is_nothing_to_do(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["complete", str(earlier)]) == 0
    assert "from generator.onnx before rounding" in capsys.readouterr().err
    assert Generator.open(earlier).images([0], [7]).shape == (1, 14, 14, 1)
    assert main(["complete", str(earlier)]) == 0
    assert "lacks nothing" in capsys.readouterr().err
    assert main(["complete", str(tmp_path)]) == 2
    assert "is not an artifact" in capsys.readouterr().err
