"""A third form of the graph: the same images, computed in half precision by a GPU.

Inputs stay float32, and so does the end, from the picture in [-1, 1] to finished pixels: a number near 1 has
three digits in half precision, too few for 255 steps to be rounded as they should. TensorRT 11 takes the
precision from the graph, so this is where it is decided.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.tail import GraphError, read_graph, rewritten, tail_of

# Operators whose floating-point inputs and outputs all have one type, and no number in an attribute of it.
SAME_TYPE = frozenset({
    "Add", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Flatten", "Gemm", "Identity", "LeakyRelu",
    "MatMul", "Mul", "Relu", "Reshape", "Sigmoid", "Slice", "Sub", "Tanh", "Transpose",
})  # fmt: skip


def fp16_graph(graph: bytes) -> bytes:
    """An ONNX file in float32 -> the ONNX file of the same generator in float16, inputs and outputs the same.

    Raises GraphError for weights that float16 cannot hold and operators of which the types are not known.
    """
    model = read_graph(graph)
    tail = tail_of(model.graph)
    if not tail:
        raise GraphError("the graph does not end with the scaling to pixels: export the generator again")
    body = [node for node in model.graph.node if node not in tail]
    if strange := sorted({node.op_type for node in body} - SAME_TYPE):
        raise GraphError(f"the graph has {', '.join(strange)}, of which the form in float16 is not known")
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    halves: dict[str, str] = {}  # tensor in float32 -> the same in float16
    casts = []
    for value in model.graph.input:
        halves[value.name] = f"{value.name}.fp16"
        casts.append(_cast(value.name, halves[value.name], TensorProto.FLOAT16))
    for name in sorted({name for node in body for name in node.input} & tensors.keys()):
        if tensors[name].data_type == TensorProto.FLOAT:
            halves[name] = f"{name}.fp16"
            tensors[halves[name]] = _half(tensors[name], halves[name])
    picture = tail[0].input[0]  # what the body makes
    halves[picture] = f"{picture}.fp16"
    for node in body:
        node.input[:] = [halves.get(name, name) for name in node.input]
        node.output[:] = [halves.get(name, name) for name in node.output]
    nodes = [*casts, *body, _cast(halves[picture], picture, TensorProto.FLOAT), *tail]
    return rewritten(model, nodes, tensors)


def _cast(before: str, after: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [before], [after], f"cast_to_{after}", to=kind)


def _half(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    """The tensor in float16. Raises GraphError where it has numbers that are too large."""
    whole = numpy_helper.to_array(tensor)
    if not (np.abs(whole) <= np.finfo(np.float16).max).all():
        raise GraphError(
            f"{tensor.name!r} holds {whole.flat[np.abs(whole).argmax()]:g}, which float16 cannot: it ends at "
            f"{np.finfo(np.float16).max:g}"
        )
    return numpy_helper.from_array(whole.astype(np.float16), name)
