"""Generators that fail in ways of their own: small graphs made by hand, real artifacts around them.

Each makes 8 x 8 grey images of one brightness, the latent's second component, and misbehaves where the
latent's first component is above `TRIGGER`, which no seed gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto as Type
from onnx import helper

from generator.artifact import ONNX, Provenance, write_artifact
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec

SPEC = GeneratorSpec(("a", "b"), image_size=8, channels=1, latent_dim=2)
TRIGGER = 50.0
FINE = [0.0, 7.0]  # a latent of images of brightness 7
FAULT = [TRIGGER + 1, 7.0]

FAULTS = ("raises", "hangs", "wrong_shape", "fails_in_batches")


def write_faulty(folder: Path, fault: str) -> Path:
    """An artifact named after its fault, in `folder`."""
    nodes = [*_BRIGHTNESS, *_FAULTS[fault]]
    nodes.append(_node("Cast", "finished", IMAGES, to=Type.UINT8))
    shape: list[str | int | None] = ["n", "rows", 8, 1]
    graph = helper.make_graph(
        nodes,
        fault,
        [
            helper.make_tensor_value_info(LATENT, Type.FLOAT, ["n", SPEC.latent_dim]),
            helper.make_tensor_value_info(CLASS_VECTOR, Type.FLOAT, ["n", SPEC.num_classes]),
        ],
        [helper.make_tensor_value_info(IMAGES, Type.UINT8, shape)],
        _CONSTANTS,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    provenance = Provenance("nothing", "none", "nobody", 0, 0, created="2026-01-01T00:00:00+00:00")
    return write_artifact(
        folder / fault,
        name=fault,
        spec=SPEC,
        files={ONNX: model.SerializeToString()},
        provenance=provenance,
        parity={},
    ).path


def _node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def _integers(name: str, *values: int, scalar: bool = False) -> onnx.TensorProto:
    return helper.make_tensor(name, Type.INT64, [] if scalar else [len(values)], values)


def _floats(name: str, *values: float, scalar: bool = False) -> onnx.TensorProto:
    return helper.make_tensor(name, Type.FLOAT, [] if scalar else [len(values)], values)


_CONSTANTS = [
    _integers("zero", 0),
    _integers("one", 1),
    _integers("two", 2),
    _integers("at_1", 1, scalar=True),
    _integers("for_ever", 2**62, scalar=True),
    _integers("once", 0, scalar=True),
    _integers("image_axes", 2, 3),
    _integers("image_shape", 8, 8, 1),
    _floats("trigger", TRIGGER, scalar=True),
    _floats("nothing", 0.0, scalar=True),
    helper.make_tensor("yes", Type.BOOL, [], [True]),
]

# images: float [N, 8, 8, 1], each of its brightness. triggered: one boolean for the batch. count: [1], N.
_BRIGHTNESS = [
    _node("Slice", f"{LATENT} zero one one", "first"),  # [N, 1]
    _node("Slice", f"{LATENT} one two one", "second"),  # [N, 1]
    _node("ReduceMax", "first", "largest", keepdims=0),
    _node("Greater", "largest trigger", "triggered"),
    _node("Shape", LATENT, "count", start=0, end=1),
    # The class has a part as well: onnxruntime drops inputs that nothing reads.
    _node("ReduceMin", CLASS_VECTOR, "least", axes=[1], keepdims=1),
    _node("Mul", "least nothing", "no_class"),
    _node("Add", "second no_class", "brightness"),
    _node("Unsqueeze", "brightness image_axes", "dots"),  # [N, 1, 1, 1]
    _node("Concat", "count image_shape", "shape", axis=0),
    _node("Expand", "dots shape", "images_float"),
]

_BODY = helper.make_graph(
    [
        helper.make_node("Identity", ["go_on"], ["goes_on"]),
        helper.make_node("Add", ["sum", "sum"], ["next_sum"]),
    ],
    "body",
    [
        helper.make_tensor_value_info("step", Type.INT64, []),
        helper.make_tensor_value_info("go_on", Type.BOOL, []),
        helper.make_tensor_value_info("sum", Type.FLOAT, []),
    ],
    [
        helper.make_tensor_value_info("goes_on", Type.BOOL, []),
        helper.make_tensor_value_info("next_sum", Type.FLOAT, []),
    ],
)

_FAULTS: dict[str, list[onnx.NodeProto]] = {
    # Picks row 1 of a table that has one row.
    "raises": [
        _node("Cast", "triggered", "row", to=Type.INT64),
        _node("Gather", "trigger_table row", "picked", axis=0),
        _node("Mul", "picked nothing", "no_pick"),
        _node("Add", "images_float no_pick", "finished"),
    ],
    "hangs": [
        _node("Where", "triggered for_ever once", "trips"),
        helper.make_node("Loop", ["trips", "yes", "nothing"], ["total"], body=_BODY),
        _node("Mul", "total nothing", "no_total"),
        _node("Add", "images_float no_total", "finished"),
    ],
    # Eight rows of pixels, or nine.
    "wrong_shape": [
        _node("Cast", "triggered", "more", to=Type.INT64),
        _node("Unsqueeze", "more zero", "rows_more"),
        _node("Concat", "zero rows_more zero zero", "padding_after", axis=0),
        _node("Concat", "zero zero zero zero padding_after", "padding", axis=0),
        _node("Pad", "images_float padding nothing", "finished"),
    ],
    # Batches of several are to have the shape of one.
    "fails_in_batches": [
        _node("Concat", "one image_shape", "shape_of_one", axis=0),
        _node("Reshape", "images_float shape_of_one", "finished"),
    ],
}
_CONSTANTS.append(_floats("trigger_table", 1.0))
