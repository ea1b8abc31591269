from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import artifact as export_artifact
from export.__main__ import main
from export.artifact import export_checkpoint
from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import ParityError, measure_parity
from export.reference import network_reference
from export.tail import with_values
from generator import Generator
from generator.artifact import Artifact
from generator.latents import latents
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from tests.conftest import GREY, RGB, untrained
from training.config import Norm, Output
from training.networks import Generation


def test_folding_batch_norm_changes_nothing_but_the_number_of_layers() -> None:
    generator = untrained(GREY, "x").generator()
    folded = fold_batch_norm(generator)
    latent, class_vector = torch.randn(8, 5), torch.softmax(torch.randn(8, 3), 1)
    torch.testing.assert_close(folded(latent, class_vector), generator(latent, class_vector))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())


def test_the_graph_is_the_whole_of_generation(grey: Path) -> None:
    model = onnx.load(grey / "generator.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert not kinds & {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
    assert [tensor.name for tensor in model.graph.input] == [LATENT, CLASS_VECTOR]
    (output,) = model.graph.output
    assert output.name == IMAGES
    assert output.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shape = [dimension.dim_param or dimension.dim_value for dimension in output.type.tensor_type.shape.dim]
    assert shape[1:] == [14, 14, 1]
    assert isinstance(shape[0], str)


@pytest.mark.parametrize(
    ("spec", "norm", "output"),
    [(GREY, "batch", "tanh"), (RGB, "batch", "tanh"), (RGB, "none", "sigmoid")],
    ids=["grey", "rgb", "rgb without normalisation, sigmoid"],
)
def test_the_artifact_makes_what_the_network_makes(
    spec: GeneratorSpec, norm: Norm, output: Output, tmp_path: Path
) -> None:
    checkpoint = untrained(spec, "x", norm=norm, output=output)
    artifact = export_checkpoint(checkpoint, tmp_path / "x")
    found = dict(artifact.manifest.parity)
    assert set(found) == {
        "onnxruntime-fp32-cpu", "onnxruntime-fp32-cpu-polyphase", "onnxruntime-fp16-cpu"
    }  # fmt: skip
    assert 1e-5 < found["onnxruntime-fp16-cpu"].max_abs_error <= 2e-3
    for engine, parity in found.items():
        assert parity.reference == "the trained network"
        assert parity.batches == (1, 3, 64)
        if "fp32" in engine:
            assert parity.max_abs_error <= 1e-5
            assert 0 < parity.max_abs_error_float32 < 1e-4
        assert parity.max_pixel_error <= 1
        assert parity.compared_pixels == 68 * spec.image_size**2 * spec.channels
    made = Generator.open(tmp_path / "x").images([1] * 9, range(9))
    with torch.no_grad():
        network = Generation(checkpoint.generator(), spec)
        latent = latents(range(9), spec.latent_dim, noise=spec.noise)
        expected = network(torch.from_numpy(latent), torch.from_numpy(spec.class_vectors([1] * 9)))
    assert np.abs(made.astype(int) - expected.numpy()).max() <= 1


def test_a_graph_of_other_weights_fails_parity() -> None:
    network = network_reference(untrained(GREY, "x").generator(), GREY)
    graph = onnx_graph(fold_batch_norm(untrained(GREY, "x", seed=1).generator()), GREY)
    with pytest.raises(ParityError, match="parity failed"):
        measure_parity(network, GREY, graph, with_values(graph))


def test_a_failed_parity_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = fold_batch_norm(untrained(GREY, "x", seed=1).generator())
    monkeypatch.setattr(export_artifact, "fold_batch_norm", lambda generator: wrong)
    with pytest.raises(ParityError):
        export_checkpoint(untrained(GREY, "x"), tmp_path / "models" / "x")
    assert list(tmp_path.rglob("*")) == []


def test_the_command_exports_under_the_folders_name(tmp_path: Path) -> None:
    untrained(GREY, "other").save(tmp_path / "checkpoint.pt")
    assert main([str(tmp_path), str(tmp_path / "mine")]) == 0
    assert Artifact.open(tmp_path / "mine").manifest.name == "mine"
    assert main([str(tmp_path), str(tmp_path / "mine")]) == 2
    assert main([str(tmp_path), str(tmp_path / "mine"), "--replace"]) == 0


@pytest.mark.parametrize("name", ["Mine", "a b", "../x", "-x", ""])
def test_a_name_that_cannot_be_in_a_link_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), str(tmp_path / "x"), "--name", name or " "])
