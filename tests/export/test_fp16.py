from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.fp16 import fp16_graph
from export.parity import MAX_ABS_ERROR_FP16
from export.tail import GraphError, with_values
from generator.artifact import FP16_ONNX, ONNX, Artifact
from generator.latents import latents
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from tests.conftest import GREY, RGB
from tests.export.test_cpu_graph import LARGER, exported, run

FASHION = Path(__file__).parents[2] / "models" / "fashion"
SPECS = pytest.mark.parametrize("spec", [GREY, RGB, LARGER], ids=["grey", "rgb", "larger"])


def feed(spec: GeneratorSpec, count: int = 200) -> dict[str, Any]:
    latent = latents(range(count), spec.latent_dim, noise=spec.noise)
    return {LATENT: latent, CLASS_VECTOR: spec.class_vectors([n % spec.num_classes for n in range(count)])}


@SPECS
def test_the_graph_in_float16_makes_the_same_images_but_for_single_steps(spec: GeneratorSpec) -> None:
    graph = exported(spec)
    half = fp16_graph(graph)
    values = [run(with_values(form), "values", feed(spec)) for form in (graph, half)]
    assert np.abs(values[0] - values[1]).max() <= MAX_ABS_ERROR_FP16
    images = [run(form, IMAGES, feed(spec)) for form in (graph, half)]
    assert images[1].dtype == np.uint8
    assert np.abs(images[0].astype(int) - images[1]).max() <= 1


def test_all_layers_are_in_float16_and_inputs_and_the_end_in_float32() -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(fp16_graph(exported(LARGER))))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert [value.type.tensor_type.elem_type for value in model.graph.input] == [TensorProto.FLOAT] * 2
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.UINT8
    halves = {node.op_type for node in model.graph.node if types.get(node.output[0]) == TensorProto.FLOAT16}
    assert {"Gemm", "ConvTranspose", "Relu", "Tanh"} <= halves
    assert not halves & {"Add", "Mul", "Round", "Clip"}
    weights = [tensor for tensor in model.graph.initializer if tensor.dims]
    floats = {TensorProto.FLOAT, TensorProto.FLOAT16}
    assert {tensor.data_type for tensor in weights} & floats == {TensorProto.FLOAT16}


def test_the_graph_in_float16_is_the_same_bytes_each_time() -> None:
    graph = exported(GREY)
    assert fp16_graph(graph) == fp16_graph(graph)


def test_a_weight_that_float16_cannot_hold_is_refused_by_its_name() -> None:
    model = onnx.load_model_from_string(exported(GREY))
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "generator.last.bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([7e4], np.float32), bias.name))
    with pytest.raises(GraphError, match=r"'generator\.last\.bias' holds 70000, which float16 cannot"):
        fp16_graph(model.SerializeToString())


def test_an_operator_of_which_the_types_are_not_known_is_refused_by_its_name() -> None:
    model = onnx.load_model_from_string(exported(GREY))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.CopyFrom(helper.make_node("Softplus", relu.input, relu.output, relu.name))
    with pytest.raises(GraphError, match="the graph has Softplus"):
        fp16_graph(model.SerializeToString())


def test_the_artifact_holds_it_with_its_parity_and_its_digest_does_not_depend_on_it(grey: Path) -> None:
    artifact = Artifact.open(grey)
    file = artifact.graph_of("fp16")
    assert file is not None
    assert file.read_bytes() == fp16_graph((grey / ONNX).read_bytes())
    parity = artifact.manifest.parity["onnxruntime-fp16-cpu"]
    assert 1e-5 < parity.max_abs_error <= 2e-3
    assert parity.max_pixel_error <= 1
    assert parity.compared_pixels == 68 * 14 * 14
    fields = artifact.manifest.to_json()
    del fields["files"][FP16_ONNX]
    assert type(artifact.manifest).from_json(fields).digest == artifact.manifest.digest


def test_fashion_in_float16_is_further_off_than_is_allowed_and_yet_never_by_more_than_two_steps() -> None:
    """Which is why it comes without this graph."""
    artifact = Artifact.open(FASHION)
    assert artifact.graph_of("fp16") is None
    graph = artifact.onnx_file.read_bytes()
    inputs = feed(artifact.spec)
    values, half_values = (run(with_values(form), "values", inputs) for form in (graph, fp16_graph(graph)))
    assert MAX_ABS_ERROR_FP16 < np.abs(values - half_values).max() < 2e-2
    images, half_images = (run(form, IMAGES, inputs) for form in (graph, fp16_graph(graph)))
    errors = np.abs(images.astype(int) - half_images)
    assert errors.max() == 2
    assert (errors > 0).mean() < 0.03


@pytest.mark.parametrize("layer", [0, 2], ids=["latents", "between the hidden layers"])
def test_fashion_in_float16_for_a_part_of_its_layers_is_too_far_off_too(layer: int) -> None:
    """With what one layer takes in rounded, and nothing else.

    The first layer takes the latents; the others but the last take or give what is between the hidden layers.
    """
    artifact = Artifact.open(FASHION)
    graph, inputs = artifact.onnx_file.read_bytes(), feed(artifact.spec)
    twin = onnx.load_model_from_string(with_values(graph))
    node = [node for node in twin.graph.node if node.op_type in ("Gemm", "ConvTranspose")][layer]
    rounding = [
        helper.make_node("Cast", [node.input[0]], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["rounded"], to=TensorProto.FLOAT),
    ]
    node.input[0] = "rounded"
    for number, step in enumerate(rounding, list(twin.graph.node).index(node)):
        twin.graph.node.insert(number, step)
    values = [run(form, "values", inputs) for form in (with_values(graph), twin.SerializeToString())]
    assert np.abs(values[0] - values[1]).max() > MAX_ABS_ERROR_FP16
