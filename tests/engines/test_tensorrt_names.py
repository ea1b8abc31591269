"""Every name of TensorRT's that the code uses is in the bindings of 10 and 11, and in tensorrt-rtx's.

tensorrt_names.json has the names of 10 and 11, read from their bindings by `python -m
tests.engines.tensorrt_names`; tensorrt-rtx and cuda-bindings are installed, and asked themselves.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import tensorrt_rtx
from cuda.bindings import runtime

from tests.engines.stand_in_cuda import Runtime
from tests.engines.tensorrt_names import NAMES, VERSIONS

ROOT = Path(__file__).parents[2]
# What the variables of each file hold, and what its calls give.
HOLDS: Mapping[str, Mapping[str, str]] = {
    "export/engine.py": {
        "builder": "Builder",
        "config": "IBuilderConfig",
        "create_engine_inspector": "EngineInspector",
        "engine": "ICudaEngine",
        "error": "ParserError",
        "get_timing_cache": "ITimingCache",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        "profile": "IOptimizationProfile",
        "tensor": "ITensor",
        "Runtime": "Runtime",
    },
    "generator/engines/slots.py": {"_context": "IExecutionContext", "engine": "ICudaEngine"},
    "generator/engines/tensorrt.py": {"engine": "ICudaEngine", "runtime": "Runtime"},
    "generator/engines/tensorrt_log.py": {},
}
RTX_ALONE = {("", "ComputeCapability"), ("IBuilderConfig", "num_compute_capabilities"),
             ("IBuilderConfig", "set_compute_capability")}  # fmt: skip  # behind `target`
CUDA = ROOT / "generator" / "engines" / "cuda.py"


def last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def used(file: str) -> Iterator[tuple[str, str]]:
    """(class, member), the class being "" for the module's own names."""
    holds = HOLDS[file]
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        base = node.value
        if isinstance(base, ast.Name) and base.id == "trt":
            if not node.attr.startswith("__"):
                yield "", node.attr
        elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id == "trt":
            if not node.attr.startswith("__"):
                yield base.attr, node.attr
        elif (name := last_name(base)) in holds:
            yield holds[name], node.attr


ALL = sorted({name for file in HOLDS for name in used(file)})


def test_the_names_are_found_that_one_finds_by_reading() -> None:
    assert {
        ("", "OnnxParser"), ("BuilderFlag", "TF32"), ("IBuilderConfig", "add_optimization_profile"),
        ("IExecutionContext", "execute_async_v3"), ("ICudaEngine", "create_execution_context"),
        ("Runtime", "deserialize_cuda_engine"), ("EngineInspector", "get_engine_information"),
        ("ITimingCache", "serialize"), ("ParserError", "node_operator"),
    } <= set(ALL)  # fmt: skip
    assert len(ALL) > 45


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bindings_have_every_name(version: str) -> None:
    names = json.loads(NAMES.read_text())[version]
    missing = {(owner, name) for owner, name in ALL if name not in names.get(owner, ())}
    assert missing - RTX_ALONE == set()


def test_tensorrt_rtx_has_every_name() -> None:
    assert [
        (owner, name)
        for owner, name in ALL
        if not hasattr(getattr(tensorrt_rtx, owner) if owner else tensorrt_rtx, name)
    ] == []


def test_cuda_has_every_function_and_constant_and_the_stand_in_no_other() -> None:
    text = CUDA.read_text() + (CUDA.parent / "slots.py").read_text()
    names = {
        node.value
        for node in ast.walk(ast.parse(text.replace("from __future__ import annotations", "")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("cuda")
        if node.value.isidentifier() and node.value != "cudaErrorStreamCapture"
    } | {
        node.attr
        for node in ast.walk(ast.parse(text.replace("from __future__ import annotations", "")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("cuda") and node.attr != "cudart"
    }
    enums = (runtime, runtime.cudaError_t, runtime.cudaMemcpyKind, runtime.cudaStreamCaptureMode)
    assert {name for name in names if not any(hasattr(owner, name) for owner in enums)} == set()
    assert len(names) > 20
    stand_in = {name for name in vars(Runtime) if name.startswith("cuda")}
    assert {name for name in stand_in if not hasattr(runtime, name)} == set()


def test_an_error_of_cuda_is_told_by_name_where_there_is_no_driver() -> None:
    error, *_ = runtime.cudaGetDeviceCount()
    if error == runtime.cudaError_t.cudaSuccess:
        pytest.skip("this machine has a driver for NVIDIA GPUs")
    assert error.name in ("cudaErrorInsufficientDriver", "cudaErrorNoDevice")
