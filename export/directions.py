"""The main directions of a graph's latent space, in closed form (SeFa: Shen and Zhou 2021)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.tail import GraphError, read_graph
from generator.directions import MAX_DIRECTIONS, Directions
from generator.spec import CLASS_VECTOR, LATENT


def main_directions(graph: bytes) -> Directions:
    """The eigenvectors of A^T A with the largest eigenvalues; A is the first layer's weight for the latent.

    Batch norm is folded into the layer by then, so A is what the layer really answers to a latent. Of the two
    signs of an eigenvector the one is taken whose largest component is positive. Raises GraphError.
    """
    weight = _latent_weight(read_graph(graph)).astype(np.float64)  # [features, latent_dim]
    eigenvalues, eigenvectors = np.linalg.eigh(weight.T @ weight)  # from the smallest up
    vectors = eigenvectors.T[::-1][:MAX_DIRECTIONS]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    explained = np.clip(eigenvalues[::-1], 0, None) / max(float(eigenvalues.clip(0).sum()), 1e-30)
    return Directions(
        (vectors * np.where(largest < 0, -1, 1)).astype(np.float32),
        explained[:MAX_DIRECTIONS].astype(np.float32),
    )


def _latent_weight(model: onnx.ModelProto) -> npt.NDArray[np.float32]:
    """The weight of the first layer, its part for the latent: [features, latent_dim]. Raises GraphError."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    latent_dim = next(
        value.type.tensor_type.shape.dim[1].dim_value for value in model.graph.input if value.name == LATENT
    )
    joined = [node for node in model.graph.node if list(node.input) == [LATENT, CLASS_VECTOR]]
    if len(joined) == 1 and joined[0].op_type == "Concat":
        for node in model.graph.node:
            if node.op_type == "Gemm" and node.input[0] == joined[0].output[0] and node.input[1] in tensors:
                attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
                weight = numpy_helper.to_array(tensors[node.input[1]])
                return (weight if attributes.get("transB") else weight.T)[:, :latent_dim]
    raise GraphError(
        f"the graph does not begin with one linear layer of {LATENT} and {CLASS_VECTOR} side by side: "
        "export the generator again"
    )
