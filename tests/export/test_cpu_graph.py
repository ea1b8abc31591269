from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.cpu_graph import cpu_graph
from export.onnx_graph import fold_batch_norm, onnx_graph
from export.tail import MOVES, VALUES, GraphError, move_pixels_last, with_values
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from tests.conftest import GREY, RGB, untrained

LARGER = GeneratorSpec(("cat", "dog"), image_size=32, channels=3, latent_dim=4)  # two hidden layers
SPECS = pytest.mark.parametrize("spec", [GREY, RGB, LARGER], ids=["grey", "rgb", "larger"])
DOUBLING: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1]}

Feed = Mapping[str, npt.NDArray[np.float32]]


def exported(spec: GeneratorSpec) -> bytes:
    return onnx_graph(fold_batch_norm(untrained(spec, "x").generator()), spec)


def batch(spec: GeneratorSpec) -> Feed:
    latent = np.random.default_rng(0).standard_normal((64, spec.latent_dim), np.float32)
    return {LATENT: latent, CLASS_VECTOR: spec.class_vectors([n % spec.num_classes for n in range(64)])}


def run(graph: bytes, output: str, feed: Feed) -> npt.NDArray[Any]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    made: npt.NDArray[Any] = session.run([output], feed)[0]
    return made


def two_layers(height: int | str = 5, kernel: int = 4, **attributes: Any) -> bytes:
    """`picture` [N, 4, height, 7] -> `images`: two layers without bias, the first with these attributes."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((4, 6, kernel, kernel), np.float32)
    last = rng.standard_normal((6 * attributes.get("group", 1), 1, 4, 4), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ConvTranspose", ["picture", "first"], ["hidden"], **DOUBLING | attributes),
            helper.make_node("ConvTranspose", ["hidden", "last"], [IMAGES], **DOUBLING),
        ],
        "two layers",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 4, height, 7])],
        [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, ["batch", 1, None, None])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(last, "last")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@SPECS
def test_the_graph_for_cpus_makes_the_same_images(spec: GeneratorSpec) -> None:
    graph = exported(spec)
    expected = run(graph, IMAGES, batch(spec))
    made = run(cpu_graph(graph), IMAGES, batch(spec))
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - expected).max() <= 1
    twin = with_values(graph)
    values = run(cpu_graph(twin), VALUES, batch(spec))
    np.testing.assert_allclose(values, run(twin, VALUES, batch(spec)), rtol=0, atol=1e-5)


def test_layers_without_bias_and_pictures_that_are_not_square_are_the_same_too() -> None:
    graph = two_layers()
    feed = {"picture": np.random.default_rng(1).standard_normal((3, 4, 5, 7), np.float32)}
    expected = run(graph, IMAGES, feed)
    assert expected.shape == (3, 1, 20, 28)
    np.testing.assert_allclose(run(cpu_graph(graph), IMAGES, feed), expected, rtol=0, atol=1e-4)


@SPECS
def test_only_the_layer_that_makes_the_picture_stays_a_transposed_convolution(spec: GeneratorSpec) -> None:
    graph = exported(spec)
    before, after = (
        onnx.load_model_from_string(graph).graph,
        onnx.load_model_from_string(cpu_graph(graph)).graph,
    )
    kinds = [[node.op_type for node in graph.node] for graph in (before, after)]
    assert kinds[1].count("ConvTranspose") == 1
    assert kinds[1].count("Conv") == 4 * (kinds[0].count("ConvTranspose") - 1) > 0
    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)
    weights = [
        sum(np.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT)
        for graph in (before, after)
    ]
    assert weights[0] == weights[1]


def test_the_graph_for_cpus_is_the_same_bytes_each_time_and_names_nothing_of_this_machine() -> None:
    graph = exported(GREY)
    content = cpu_graph(graph)
    assert content == cpu_graph(graph)
    assert str(Path(__file__).parents[2]).encode() not in content
    model = onnx.load_model_from_string(content)
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


@SPECS
def test_pixels_that_are_moved_last_are_bit_for_bit_the_same(spec: GeneratorSpec) -> None:
    graph = exported(spec)
    model = onnx.load_model_from_string(graph)
    move_pixels_last(model.graph)
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert set(kinds[kinds.index("Cast") + 1 :]) <= set(MOVES)
    assert kinds[-1] == "Transpose"
    moved_last = run(model.SerializeToString(), IMAGES, batch(spec))
    np.testing.assert_array_equal(moved_last, run(graph, IMAGES, batch(spec)))


@SPECS
def test_the_twin_makes_the_images_of_the_graph_and_their_values(spec: GeneratorSpec) -> None:
    graph = exported(spec)
    twin = with_values(graph)
    images, values = run(twin, IMAGES, batch(spec)), run(twin, VALUES, batch(spec))
    np.testing.assert_array_equal(images, run(graph, IMAGES, batch(spec)))
    assert values.shape == images.shape
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal(np.round((values + 1) * 127.5), images)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (two_layers(kernel=2, pads=[0, 0, 0, 0]), r"layer 'hidden' has kernel \[2, 2\]: .* needs \[4, 4\]"),
        (two_layers(strides=[1, 1]), r"strides \[1, 1\]: .* needs \[2, 2\]"),
        (two_layers(pads=[0, 0, 0, 0]), r"pads \[0, 0, 0, 0\]"),
        (two_layers(group=2), "group 2"),
        (two_layers(output_padding=[1, 1]), r"output_padding \[1, 1\]"),
        (two_layers(height="height"), "'picture', whose size is not fixed"),
    ],
    ids=["kernel", "strides", "pads", "group", "output_padding", "size"],
)
def test_a_layer_of_another_form_is_refused_by_its_name(graph: bytes, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        cpu_graph(graph)


def test_a_graph_without_hidden_layers_is_refused() -> None:
    with pytest.raises(GraphError, match="no ConvTranspose layer before its last"):
        cpu_graph(onnx.helper.make_model(helper.make_graph([], "empty", [], [])).SerializeToString())


@pytest.mark.parametrize("rewrite", [cpu_graph, with_values])
def test_bytes_that_are_no_graph_are_refused(rewrite: Callable[[bytes], bytes]) -> None:
    with pytest.raises(GraphError, match="no valid ONNX file"):
        rewrite(b"no graph")


def test_a_graph_that_does_not_end_with_the_scaling_to_pixels_has_no_twin() -> None:
    with pytest.raises(GraphError, match="not by Add, Mul, Round, Clip, Cast"):
        with_values(two_layers())
    with pytest.raises(GraphError, match="'images' is made by no step known"):
        with_values(cpu_graph(exported(GREY)))
