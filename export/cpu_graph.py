"""A second form of the graph: the same images, of the operators that onnxruntime runs fastest on a CPU.

A hidden layer is a transposed convolution, which onnxruntime computes as a matrix product and a scatter-add;
its ordinary convolutions work in a layout blocked for vector instructions. So each hidden layer becomes four
of them, one for each parity of an output pixel's row and column, and an interleaving of the four (Shi et al.
2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.tail import GraphError, move_pixels_last, read_graph, rewritten

KERNEL = 4  # of a hidden layer; with the attributes below it doubles height and width
DOUBLING = {
    "auto_pad": b"NOTSET",
    "dilations": [1, 1],
    "group": 1,
    "output_padding": [0, 0],
    "pads": [1, 1, 1, 1],
    "strides": [2, 2],
}
DEFAULTS = {**DOUBLING, "pads": [0, 0, 0, 0], "strides": [1, 1]}  # of attributes that are left out

# Of the four taps of an axis, output pixel 2 i meets tap 3 at input i - 1 and tap 1 at i; pixel 2 i + 1 meets
# tap 2 at i and tap 0 at i + 1.
TAPS = ([3, 1], [2, 0])


@dataclass(frozen=True)
class _Layer:
    """A hidden layer, [N, C0, H, W] -> [N, C1, 2 H, 2 W]."""

    input: str
    output: str
    bias: tuple[str, ...]  # its tensor's name, or nothing
    weight: npt.NDArray[Any]  # [C0, C1, 4, 4]
    height: int  # of the input, pixels
    width: int


def cpu_graph(graph: bytes) -> bytes:
    """An ONNX file -> the ONNX file of the same generator for the CPU, inputs and outputs the same.

    Raises GraphError for a graph whose hidden layers are not transposed convolutions of kernel 4, stride 2,
    padding 1.
    """
    model = read_graph(graph)
    sizes = _sizes(model)
    move_pixels_last(model.graph)
    # The last one makes the picture: its few channels would fill no block, and it is faster as it is.
    hidden = [node for node in model.graph.node if node.op_type == "ConvTranspose"][:-1]
    if not hidden:
        raise GraphError(
            "the graph has no ConvTranspose layer before its last: a CPU graph would change nothing"
        )
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node in hidden:
            replacement, constants = _four_convolutions(_read(node, sizes, tensors))
            nodes += replacement
            tensors |= {tensor.name: tensor for tensor in constants}
        else:
            nodes.append(node)
    return rewritten(model, nodes, tensors)


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    """The height and width of every feature map whose size does not depend on the batch."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {
        tensor.name: [axis.dim_value for axis in tensor.type.tensor_type.shape.dim]  # 0: not fixed
        for tensor in [*inferred.graph.input, *inferred.graph.value_info]
    }
    return {
        name: (shape[2], shape[3]) for name, shape in shapes.items() if len(shape) == 4 and all(shape[2:])
    }


def _read(
    node: onnx.NodeProto, sizes: Mapping[str, tuple[int, int]], tensors: Mapping[str, onnx.TensorProto]
) -> _Layer:
    """A ConvTranspose node as a hidden layer. Raises GraphError."""
    image, weight, *bias = node.input
    attributes = DEFAULTS | {item.name: helper.get_attribute_value(item) for item in node.attribute}
    kernel = list(tensors[weight].dims[2:]) if weight in tensors else "not stored in the graph"
    for name, found, needed in [
        ("kernel", kernel, [KERNEL, KERNEL]),
        *((name, attributes[name], value) for name, value in DOUBLING.items()),
    ]:
        if found != needed:
            raise GraphError(f"layer {node.output[0]!r} has {name} {found}: a CPU graph needs {needed}")
    if image not in sizes:
        raise GraphError(
            f"layer {node.output[0]!r} takes {image!r}, whose size is not fixed: a CPU graph needs "
            "a fixed height and width"
        )
    return _Layer(image, node.output[0], tuple(bias), numpy_helper.to_array(tensors[weight]), *sizes[image])


def _four_convolutions(layer: _Layer) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes that stand for the layer, and the constants they need."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, array: npt.NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(array, f"{layer.output}.{name}"))
        return constants[-1].name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], f"node_{output}", **attributes))
        return output

    parts = []
    for row, column in product((0, 1), repeat=2):
        kernel = layer.weight[:, :, TAPS[row]][..., TAPS[column]].swapaxes(0, 1)  # [C1, C0, 2, 2]
        weight = constant(f"weight_{row}{column}", np.ascontiguousarray(kernel))
        parts.append(
            add(
                "Conv",
                [layer.input, weight, *layer.bias],
                f"{layer.output}.part_{row}{column}",  # [N, C1, H, W]
                kernel_shape=[2, 2],
                pads=[1 - row, 1 - column, row, column],  # an even pixel looks back, an odd one ahead
            )
        )
    # Interleaved one axis at a time: DepthToSpace, which does it in one step, takes four times as long.
    channels, height, width = layer.weight.shape[1], layer.height, layer.width
    tensor = add("Concat", parts, f"{layer.output}.parts", axis=1)
    for step, shape, order in [
        ("columns", [0, 2, 2, channels, height, width], [0, 1, 3, 4, 5, 2]),  # -> [N, 2, C1, H, W, 2]
        ("rows", [0, 2, channels, height, 2 * width], [0, 2, 3, 1, 4]),  # -> [N, C1, H, 2, 2 W]
    ]:
        shape_name = constant(f"shape_of_{step}", np.array(shape, np.int64))  # 0: as it is
        tensor = add("Reshape", [tensor, shape_name], f"{layer.output}.split_{step}")
        tensor = add("Transpose", [tensor], f"{layer.output}.{step}", perm=order)
    shape_name = constant("shape", np.array([0, channels, 2 * height, 2 * width], np.int64))
    add("Reshape", [tensor, shape_name], layer.output)
    return nodes, constants
