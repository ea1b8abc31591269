"""The main directions are what SeFa says they are: those to which the first layer answers most."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.artifact import complete_artifact
from export.directions import main_directions
from export.onnx_graph import fold_batch_norm
from export.tail import GraphError
from generator.artifact import CPU_ONNX, DIRECTIONS, MANIFEST, Artifact
from generator.directions import MAX_DIRECTIONS, Directions
from tests.conftest import GREY, untrained, without_file


def test_directions_are_the_strongest_right_singular_vectors_of_the_first_layer(grey: Path) -> None:
    artifact = Artifact.open(grey)
    first = fold_batch_norm(untrained(GREY, "grey").generator()).first
    weight = first.weight.detach().double()[:, : GREY.latent_dim]  # [features, latent_dim]
    _, singular, expected = torch.linalg.svd(weight, full_matrices=False)
    found = artifact.directions
    assert found is not None
    assert len(found) == GREY.latent_dim
    likeness = np.abs(np.sum(found.vectors * expected.numpy(), axis=1))
    np.testing.assert_allclose(likeness, 1, atol=1e-5)  # up to the sign,
    largest = np.take_along_axis(found.vectors, np.abs(found.vectors).argmax(axis=1)[:, None], axis=1)
    assert (largest > 0).all()  # which is settled
    shares = (singular**2 / (singular**2).sum()).numpy()
    np.testing.assert_allclose(found.explained, shares, atol=1e-5)


def test_only_the_strongest_are_stored() -> None:
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(64, 43)).astype(np.float32)  # 40 components, 3 classes
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Concat", ["latent", "class_vector"], ["both"], axis=1),
            onnx.helper.make_node("Gemm", ["both", "weight"], ["images"], transB=1),
        ],
        "linear",
        [
            onnx.helper.make_tensor_value_info("latent", onnx.TensorProto.FLOAT, ["N", 40]),
            onnx.helper.make_tensor_value_info("class_vector", onnx.TensorProto.FLOAT, ["N", 3]),
        ],
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 64])],
        [numpy_helper.from_array(weight, "weight")],
    )
    content = onnx.helper.make_model(graph).SerializeToString()
    found = main_directions(content)
    assert found.vectors.shape == (MAX_DIRECTIONS, 40)
    assert float(found.explained.sum()) < 1
    answers = np.linalg.norm(weight[:, :40] @ found.vectors.T, axis=0)
    assert (np.diff(answers) <= 1e-5).all()
    Directions.from_bytes(found.to_bytes(), 40)


def test_a_graph_that_does_not_begin_with_a_linear_layer_is_refused(grey: Path) -> None:
    model = onnx.load(Artifact.open(grey).onnx_file)
    for node in model.graph.node:
        if node.op_type == "Concat" and list(node.input) == ["latent", "class_vector"]:
            node.input[:] = ["class_vector", "latent"]
    with pytest.raises(GraphError, match="linear layer of latent and class_vector"):
        main_directions(model.SerializeToString())


@pytest.mark.parametrize("linked", [False, True])
def test_completing_adds_directions_and_keeps_the_digest(grey: Path, tmp_path: Path, linked: bool) -> None:
    exported = Artifact.open(grey).manifest
    path = tmp_path / (exported.id if linked else "grey")
    shutil.copytree(grey, path)
    before = Artifact.open(without_file(path, DIRECTIONS)).manifest
    if linked:
        (tmp_path / "grey").symlink_to(exported.id)
        path = tmp_path / "grey"
    after = complete_artifact(path)
    assert after.manifest.digest == before.digest == exported.digest
    assert after.manifest.files == exported.files
    assert after.manifest.parity == before.parity
    assert after.directions is not None
    assert path.is_symlink() == linked
    assert {file.name for file in tmp_path.iterdir()} == {"grey", *([exported.id] if linked else [])}


def test_completing_never_computes_directions_again(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(graph: bytes) -> Directions:
        raise AssertionError("they are there")

    path = tmp_path / "grey"
    shutil.copytree(grey, path)
    (path / CPU_ONNX).unlink()
    manifest = Artifact.open(grey).manifest
    kept = {name: sha256 for name, sha256 in manifest.files.items() if name != CPU_ONNX}
    (path / MANIFEST).write_text(json.dumps(replace(manifest, files=kept).to_json()))
    monkeypatch.setattr("export.artifact.main_directions", compute)
    assert complete_artifact(path).manifest.files == manifest.files
