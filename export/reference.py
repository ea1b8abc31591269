"""What a graph is measured against: the network or another graph, computed in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from export.tail import VALUES, read_graph, with_values
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from training.networks import Generation, Generator

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Expected:
    """What a graph should make of a batch."""

    images: Pixels  # [N, H, W, C]
    values: Floats  # the same before rounding, float64 [N, H, W, C] in [-1, 1]
    values_float32: Floats  # the same computed in float32


@dataclass(frozen=True)
class Reference:
    """latent [N, latent_dim], class_vector [N, num_classes], both float32 -> what they should become."""

    name: str
    expect: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], Expected]


def network_reference(generator: Generator, spec: GeneratorSpec) -> Reference:
    """The network as trained, batch norm unfolded, computed by torch."""
    in_float64 = Generation(copy.deepcopy(generator).double(), spec).eval()
    in_float32 = Generation(generator, spec).eval()

    @torch.no_grad()
    def expect(latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Expected:
        inputs = torch.from_numpy(latent), torch.from_numpy(class_vector)
        exact = [tensor.double() for tensor in inputs]
        images, values = in_float64(*exact), in_float64.values(*exact)
        return Expected(images.numpy(), values.numpy(), in_float32.values(*inputs).numpy())

    return Reference("the trained network", expect)


def graph_reference(graph: bytes) -> Reference:
    """A graph, computed in float64 by onnx's reference implementation, in float32 by onnxruntime.

    Its weights are the trained ones, batch norm folded in, rounded to float32. Raises GraphError.
    """
    twin = with_values(graph)
    in_float64 = ReferenceEvaluator(_in_float64(twin), new_ops=[ConvTranspose])
    in_float32 = onnxruntime.InferenceSession(twin, providers=["CPUExecutionProvider"])

    def expect(latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Expected:
        exact = {LATENT: latent.astype(np.float64), CLASS_VECTOR: class_vector.astype(np.float64)}
        images, values = cast(list[Any], in_float64.run([IMAGES, VALUES], exact))
        (values_float32,) = in_float32.run([VALUES], {LATENT: latent, CLASS_VECTOR: class_vector})
        return Expected(images, values, values_float32)

    return Reference("generator.onnx", expect)


def _in_float64(graph: bytes) -> onnx.ModelProto:
    """The same graph with every float32 input, output and constant in float64."""
    model = read_graph(graph)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
            )
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return model


class ConvTranspose(OpRun):
    """torch's, which the evaluator finds by this class's name; onnx's own takes 0.2 s an image."""

    op_domain = ""

    def _run(
        self,
        image: npt.NDArray[np.float64],
        weight: npt.NDArray[np.float64],
        bias: npt.NDArray[np.float64] | None = None,
        *,
        strides: Sequence[int],
        pads: Sequence[int],
        **_: object,
    ) -> tuple[npt.NDArray[np.float64]]:
        # The padding is the same before and after an axis in every graph that export writes.
        result = torch.conv_transpose2d(
            torch.tensor(image),
            torch.tensor(weight),
            None if bias is None else torch.tensor(bias),
            stride=tuple(strides),
            padding=tuple(pads[:2]),
        )
        return (result.numpy(),)
