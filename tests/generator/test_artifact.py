from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from export.artifact import export_checkpoint
from generator.artifact import CPU_ONNX, DIRECTIONS, FP16_ONNX, MANIFEST, ONNX, Artifact, ArtifactError
from generator.engines import EngineError, open_engine
from tests.conftest import GREY, untrained


@pytest.fixture
def copy(grey: Path, tmp_path: Path) -> Path:
    shutil.copytree(grey, tmp_path / "copy")
    return tmp_path / "copy"


def test_an_artifact_describes_itself(grey: Path) -> None:
    manifest = Artifact.open(grey).manifest
    assert manifest.spec == GREY
    assert manifest.name == "grey"
    assert manifest.provenance.kimg == 1
    assert set(manifest.files) == {ONNX, CPU_ONNX, FP16_ONNX, DIRECTIONS, "sheet.png"}
    assert json.loads((grey / MANIFEST).read_text())["digest"] == manifest.digest


def test_the_digest_is_of_the_spec_and_the_graphs_only(copy: Path) -> None:
    before = Artifact.open(copy)
    after = before.record_metrics({"gan_test": {"agreement": 0.5}})
    assert after.manifest.digest == before.manifest.digest
    assert Artifact.open(copy).manifest.metrics == {"gan_test": {"agreement": 0.5}}


@pytest.mark.parametrize("file", [ONNX, CPU_ONNX, FP16_ONNX, DIRECTIONS, "sheet.png"])
def test_a_changed_file_is_refused(copy: Path, file: str) -> None:
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{file} was changed.*export the generator again"):
        Artifact.open(copy)


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / ONNX).unlink()
    with pytest.raises(ArtifactError, match=r"generator\.onnx is missing"):
        Artifact.open(copy)


def test_a_changed_spec_is_refused(copy: Path) -> None:
    fields = json.loads((copy / MANIFEST).read_text())
    fields["spec"]["class_names"][0] = "Hat"
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match="does not fit the contents"):
        Artifact.open(copy)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema_version": 99}', b'{"schema_version": 1}', b"\xff"]
)
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=MANIFEST):
        Artifact.open(copy)


def test_a_file_outside_the_folder_is_refused(copy: Path) -> None:
    fields = json.loads((copy / MANIFEST).read_text())
    fields["files"]["../secret"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match="secret is missing"):
        Artifact.open(copy)


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not an artifact"):
        Artifact.open(tmp_path)


def test_a_name_that_is_taken_is_not_overwritten(copy: Path) -> None:
    before = sorted(copy.parent.rglob("*"))
    with pytest.raises(ArtifactError, match="--replace"):
        export_checkpoint(untrained(GREY, "copy"), copy)
    assert sorted(copy.parent.rglob("*")) == before


def test_a_folder_that_is_no_artifact_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    with pytest.raises(ArtifactError, match="not an artifact"):
        export_checkpoint(untrained(GREY, "precious"), tmp_path / "precious", replace=True)
    assert (tmp_path / "precious" / "file").exists()


def test_replacing_a_folder_leaves_the_new_version_and_nothing_else(copy: Path) -> None:
    old = Artifact.open(copy)
    new = export_checkpoint(untrained(GREY, "copy", seed=1), copy, replace=True)
    assert new.manifest.digest != old.manifest.digest
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_replacing_behind_a_symlink_switches_the_link_and_keeps_the_old_version(copy: Path) -> None:
    old = Artifact.open(copy)
    link = copy.parent / "live"
    link.symlink_to("copy")
    new = export_checkpoint(untrained(GREY, "live", seed=1), link, replace=True)
    assert link.is_symlink()
    assert link.resolve().name == new.manifest.id
    assert Artifact.open(link).manifest.digest == new.manifest.digest
    assert Artifact.open(old.path) == old


def test_a_graph_that_is_no_generators_is_refused(copy: Path) -> None:
    artifact = Artifact.open(copy)
    (copy / CPU_ONNX).write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"cannot load .*generator\.cpu\.onnx"):
        open_engine(artifact)
