"""A trained generator -> an ONNX graph of the whole of generation, batch norm folded away."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from training.networks import BASE_SIZE, Generation, Generator

OPSET = 20


def fold_batch_norm(generator: Generator) -> Generator:
    """The same function without normalisation layers: each one folded into the layer before it.

    w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps), in float64, rounded to
    float32 once. Evaluation mode only. A generator without normalisation is as it was.
    """
    folded = copy.deepcopy(generator).double().eval()
    if isinstance(folded.first_norm, nn.Identity):
        return folded.float().requires_grad_(False)
    for index, norm in enumerate(folded.norms):
        up = cast(nn.ConvTranspose2d, folded.up[index])
        folded.up[index] = fuse_conv_bn_eval(up, cast(nn.BatchNorm2d, norm), transpose=True)
        folded.norms[index] = nn.Identity()
    norm = folded.first_norm
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / torch.sqrt(variance + norm.eps)  # [C0]
    bias = norm.bias - mean * scale  # [C0]
    per_feature = BASE_SIZE**2  # the first layer's rows are [C0, 4, 4], flattened
    first = nn.Linear(folded.first.in_features, folded.first.out_features)
    first.weight = nn.Parameter(folded.first.weight * scale.repeat_interleave(per_feature)[:, None])
    first.bias = nn.Parameter(bias.repeat_interleave(per_feature))
    folded.first = first
    folded.first_norm = nn.Identity()
    return folded.float().requires_grad_(False)


def onnx_graph(generator: Generator, spec: GeneratorSpec) -> bytes:
    """An ONNX file: latent, class_vector -> images. The generator's batch norm must be folded already."""
    example = torch.zeros(2, spec.latent_dim), torch.zeros(2, spec.num_classes)
    return to_onnx(Generation(generator, spec).eval(), example, [LATENT, CLASS_VECTOR], [IMAGES])


def to_onnx(module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]) -> bytes:
    """An ONNX file of a module; every input's first axis is the batch."""
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple({0: batch} for _ in example),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    for node in model.graph.node:  # the exporter's notes name source files and lines of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    buffer = io.BytesIO()
    onnx.save(model, buffer)
    return buffer.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its progress and its own deprecations; a user can act on neither."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
