"""Artifact -> an engine of TensorRT, for the GPU at hand or ahead of time for GPUs of a kind.

One function builds with tensorrt 10, tensorrt 11 and tensorrt-rtx: the module is its parameter. Networks are
strongly typed, so that precision is what the ONNX file says, and never what a builder thinks good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from generator.engines import Precision
from generator.engines.tensorrt_log import collecting_logger

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
RTX = "tensorrt_rtx"
LOG_LINES = 100_000  # a build tells each layer, of each profile, and how it came to be


class BuildError(ValueError):
    """An engine that TensorRT does not build, with the layer or the limit that it names."""


@dataclass(frozen=True)
class BuildOptions:
    """How to build; the engine's record keeps it."""

    precisions: tuple[Precision, ...] = ()  # none: all that the artifact has graphs of
    buckets: tuple[int, ...] = BUCKETS  # batch sizes, ascending: an optimization profile each
    workspace_mib: int | None = None  # memory of the GPU that a layer may use while it runs; None: all
    optimization_level: int = 3  # 0 to 5: how long TensorRT looks for faster kernels


@dataclass(frozen=True)
class Built:
    """What came of a build."""

    plan: bytes
    layers: list[dict[str, Any]]  # as TensorRT fused them, for all profiles; empty where it does not tell
    timing_cache: bytes  # of this build and those before; empty for tensorrt-rtx, which has none


def targets_of(trt: Any) -> dict[str, str]:
    """The GPUs that can be built for ahead of time: sm89 -> 8.9; none but with tensorrt-rtx."""
    if trt.__name__ != RTX:
        return {}
    names = [name.lower() for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    return {name: f"{name[2:-1]}.{name[-1]}" for name in sorted(names, key=lambda name: int(name[2:]))}


def build_engine(
    trt: Any, graph: bytes, options: BuildOptions, target: str | None = None, timing_cache: bytes = b""
) -> Built:
    """Builds an engine of an ONNX file, whose inputs have the batch as their only open dimension.

    `target` is one of `targets_of`; None is the GPU at hand. Raises BuildError.
    """
    logger = collecting_logger(trt, LOG_LINES)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # what pybind11 makes of a null pointer
        raise BuildError(f"TensorRT cannot start: {logger.take_error()}") from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, logger, graph)
    config = builder.create_builder_config()
    _configure(trt, config, options, target)
    for bucket in options.buckets:
        config.add_optimization_profile(_profile(builder, network, bucket))
    keeps_timings = trt.__name__ != RTX
    if keeps_timings:
        config.set_timing_cache(config.create_timing_cache(timing_cache), False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError(f"TensorRT cannot build{f' for {target}' if target else ''}: {logger.take_error()}")
    content = bytes(plan)
    layers = logged_layers(logger.lines) or (inspected_layers(trt, content) if target is None else [])
    timings = bytes(config.get_timing_cache().serialize()) if keeps_timings else b""
    return Built(content, layers, timings)


def _parse(trt: Any, network: Any, logger: Any, graph: bytes) -> None:
    """Raises BuildError with the node that TensorRT cannot read."""
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
        told = "; ".join(
            f"layer {error.node_name()!r} ({error.node_operator()}): {error.desc()}"
            if error.node_name()
            else error.desc()
            for error in errors
        )
        raise BuildError(f"TensorRT cannot read the graph: {told or logger.take_error()}")


def _configure(trt: Any, config: Any, options: BuildOptions, target: str | None) -> None:
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.builder_optimization_level = options.optimization_level
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 is to be float32, not its first ten binary digits
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * 2**20)
    if target is not None:
        if target not in targets_of(trt):
            there = ", ".join(targets_of(trt)) or "none but with tensorrt-rtx"
            raise BuildError(f"target {target!r}: allowed are {there}")
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)


def _profile(builder: Any, network: Any, bucket: int) -> Any:
    """An optimization profile for batches of exactly this size."""
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = tuple(tensor.shape)
        if shape[:1] != (-1,) or -1 in shape[1:]:
            raise BuildError(
                f"input {tensor.name!r} has the shape {shape}: its first dimension has to be open (-1), and "
                "no other"
            )
        filled = (bucket, *shape[1:])
        profile.set_shape(tensor.name, filled, filled, filled)
    return profile


def logged_layers(lines: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """The layers of every profile, as tensorrt-rtx logs them: name, types, what they were made of."""
    layers: list[dict[str, Any]] = []
    for _, text in lines:
        if text.startswith("Layers:"):
            layers += [_layer(line) for line in text.splitlines()[1:] if line.startswith("Name: ")]
    return layers


def _layer(line: str) -> dict[str, Any]:
    name = re.match(r"Name: ([^,]*)", line)
    kind = re.search(r"LayerType: ([^,]*)", line)
    outputs = line.partition("Outputs: [")[2].partition("}]")[0]
    types = re.findall(r"Datatype: (\w+)", outputs)
    made_of = re.findall(r"\[ONNX Layer: ([^\]]*)\]", line)
    return {
        "name": name[1] if name else "",
        "kind": kind[1] if kind else "",
        "types": types,
        "made_of": made_of,
        "text": line,
    }


def inspected_layers(trt: Any, plan: bytes) -> list[dict[str, Any]]:
    """The layers of an engine as TensorRT's inspector tells them; it needs the engine's GPU."""
    engine = trt.Runtime(collecting_logger(trt)).deserialize_cuda_engine(plan)
    if engine is None:
        return []
    told = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    layers = json.loads(told).get("Layers", [])
    return [layer if isinstance(layer, dict) else {"name": layer} for layer in layers]
