"""The end of a graph: from the picture that the network makes to finished pixels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile

import onnx

from generator.spec import IMAGES

VALUES = "values"  # the twin's second output: the images before scaling and rounding, in [-1, 1]

SCALING = ["Add", "Mul", "Round", "Clip", "Cast"]  # [-1, 1] -> 0..255; each with numbers, pixel by pixel
MOVES = ("Slice", "Transpose")  # change where pixels are, not what they are


class GraphError(ValueError):
    """A graph of another form than export writes: what was found, what is needed, the way out."""


def read_graph(graph: bytes) -> onnx.ModelProto:
    """An ONNX file's content as a model. Raises GraphError."""
    try:
        model = onnx.load_model_from_string(graph)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # protobuf's, the checker's and shape inference's have no common base
        raise GraphError(f"this is no valid ONNX file: {error}; export the generator again") from error
    return model


def with_values(graph: bytes) -> bytes:
    """The graph's twin, to measure parity with: it also outputs `values`, float [N, H, W, C] in [-1, 1].

    Raises GraphError for a graph that does not end with the scaling to pixels.
    """
    model = read_graph(graph)
    steps = list(takewhile(lambda node: node.op_type not in MOVES, reversed(tail_of(model.graph))))[::-1]
    if [node.op_type for node in steps] != SCALING:
        raise GraphError(
            f"{IMAGES!r} is made by {', '.join(node.op_type for node in steps) or 'no step known'}, not by "
            f"{', '.join(SCALING)}: export the generator again"
        )
    before = steps[0].input[0]
    for node in model.graph.node:
        node.input[:] = [VALUES if name == before else name for name in node.input]
        node.output[:] = [VALUES if name == before else name for name in node.output]
    values = model.graph.output.add()
    values.CopyFrom(next(output for output in model.graph.output if output.name == IMAGES))
    values.name = VALUES
    values.type.tensor_type.elem_type = model.graph.input[0].type.tensor_type.elem_type
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def move_pixels_last(graph: onnx.GraphProto) -> None:
    """Scales, rounds and casts first, then crops and transposes: the same pixels in less time.

    To add a number to [N, 28, 28, 1], whose innermost axis is of length 1, takes onnxruntime 8 us an image;
    before the transposition 0.3 us. Each step's results are bit for bit what they were. A tensor that
    something else needs too stays, and what is before it.
    """
    steps = tail_of(graph)
    if not steps:
        return
    others = [node for node in graph.node if node not in steps]
    before, former_last = steps[0].input[0], steps[-1]
    steps.sort(key=lambda node: node.op_type in MOVES)  # stable: the order within each kind stays
    former_last.output[0], steps[-1].output[0] = steps[-1].output[0], IMAGES
    for node in steps:
        node.input[0], before = before, node.output[0]
    del graph.node[:]
    graph.node.extend([*others, *steps])


def tail_of(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The longest chain of scaling steps and moves that ends in `images` and that nothing else looks into."""
    makes = {tensor: node for node in graph.node for tensor in node.output}
    lengths = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    looks = Counter(name for node in graph.node for name in node.input)
    looks.update(output.name for output in graph.output)
    chain: list[onnx.NodeProto] = []
    tensor = IMAGES
    while tensor in makes and looks[tensor] == 1:
        node = makes[tensor]
        lengths_of_others = [lengths.get(name) for name in node.input[1:]]
        is_scaling = node.op_type in SCALING and all(length == 1 for length in lengths_of_others)
        is_move = node.op_type in MOVES and None not in lengths_of_others
        if not (is_scaling or is_move):
            break
        chain.insert(0, node)
        tensor = node.input[0]
    return chain


def rewritten(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], tensors: Mapping[str, onnx.TensorProto]
) -> bytes:
    """The ONNX file of a model with other nodes, and of the tensors those that they use; changes `model`."""
    used = {name for node in nodes for name in node.input}
    for field in ("node", "initializer", "value_info"):
        model.graph.ClearField(field)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensor for name, tensor in tensors.items() if name in used)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
