"""Operations of one image, counted from the exported graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.results import ResultError


def flop_per_image(onnx_file: Path) -> int:
    """Two for each multiply-add of matrix products and convolutions; the rest does not count.

    A transposed convolution multiplies each of its inputs with a whole kernel, also where the result is
    cropped. Raises ResultError without the package onnx, and for a graph whose shapes it cannot tell.
    """
    try:
        import onnx  # noqa: PLC0415, of the extra `train`
    except ImportError:
        raise ResultError("operations are counted by the package onnx: pip install -e '.[train]'") from None
    model = onnx.load(onnx_file)
    for tensor in model.graph.input:
        tensor.type.tensor_type.shape.dim[0].dim_value = 1  # one image
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for tensor in [*graph.input, *graph.value_info, *graph.output]:
        shapes[tensor.name] = tuple(dim.dim_value for dim in tensor.type.tensor_type.shape.dim)
    return 2 * sum(_multiply_adds(node, shapes) for node in graph.node)


def _multiply_adds(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Of a node of the graph."""
    if node.op_type not in ("Gemm", "MatMul", "Conv", "ConvTranspose"):
        return 0
    left, weight, out = (shapes[name] for name in (node.input[0], node.input[1], node.output[0]))
    if not all(left) or not all(out):
        raise ResultError(f"{node.op_type} {node.name!r} has no fixed shape: {left} -> {out}")
    if node.op_type == "ConvTranspose":  # weight [in, out / groups, *kernel]
        return math.prod(left) * math.prod(weight[1:])
    if node.op_type == "Conv":  # weight [out, in / groups, *kernel]
        return math.prod(out) * math.prod(weight[1:])
    return math.prod(out) * math.prod(left) // math.prod(out[:-1])
