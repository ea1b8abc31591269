"""Real builds by tensorrt-rtx, which needs no GPU for them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import pytest
import tensorrt_rtx
from onnx import TensorProto, helper, numpy_helper

import export.engine_command
from export.__main__ import main
from export.engine import BuildError, BuildOptions, Built, build_engine, targets_of
from export.fp16 import fp16_graph
from generator.artifact import Artifact
from generator.engines import EngineError
from generator.engines.cache import (
    LAYERS,
    PLAN,
    EngineKey,
    find_engines,
    read_timing_cache,
    write_timing_cache,
)
from generator.engines.tensorrt import find_hardware
from tests.conftest import GREY, RGB
from tests.export.test_cpu_graph import LARGER, exported

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = sorted(path.parent.name for path in MODELS.glob("*/manifest.json"))
TARGETS = ("sm86", "sm89", "sm120")
ACTIVATIONS = ("Relu", "LeakyRelu", "Tanh")


def missing_hardware() -> str:
    try:
        find_hardware()
    except EngineError as error:
        return str(error)
    return ""


def fusions(graph: bytes) -> dict[str, str]:
    """Each transposed convolution and the activation that follows it, by the names of their nodes."""
    nodes = onnx.load_model_from_string(graph).graph.node
    by_input = {node.input[0]: node for node in nodes if node.op_type in ACTIVATIONS}
    return {
        node.name: by_input[node.output[0]].name
        for node in nodes
        if node.op_type == "ConvTranspose" and node.output[0] in by_input
    }


def check_fusions(graph: bytes, built: Built, profiles: int) -> None:
    """In every profile's plan each transposed convolution is one layer with its activation."""
    wanted = fusions(graph)
    assert wanted
    deconvolutions = [layer for layer in built.layers if layer["kind"] == "deconv"]
    made_of = Counter(tuple(sorted(layer["made_of"])) for layer in deconvolutions)
    assert made_of == {tuple(sorted(pair)): profiles for pair in wanted.items()}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_generators_build_in_both_precisions_with_every_layer_fused(name: str, target: str) -> None:
    whole = Artifact.open(MODELS / name).onnx_file.read_bytes()
    options = BuildOptions(buckets=(1, 16))
    for graph, kind in ((whole, "Float"), (fp16_graph(whole), "Half")):
        built = build_engine(tensorrt_rtx, graph, options, target)
        assert len(built.plan) > 500_000
        check_fusions(graph, built, profiles=2)
        types = {tuple(layer["types"]) for layer in built.layers if layer["kind"] == "deconv"}
        assert types == {(kind,)}


@pytest.mark.parametrize("spec", [GREY, RGB, LARGER], ids=["grey", "rgb", "larger"])
def test_small_generators_build_too(spec: Any) -> None:
    whole = exported(spec)
    for graph in (whole, fp16_graph(whole)):
        check_fusions(
            graph, build_engine(tensorrt_rtx, graph, BuildOptions(buckets=(2,)), "sm89"), profiles=1
        )


def test_a_generator_of_another_make_builds_through_the_same_function() -> None:
    """One input, a convolution, a leaky rectifier, no tail of ours."""
    weight = numpy_helper.from_array(numpy_helper.to_array(_weights("w", 8, 4, 4, 4)), "w")
    last = _weights("last", 4, 3, 3, 3)
    graph = helper.make_graph(
        [
            helper.make_node("ConvTranspose", ["z", "w"], ["up"], "up", strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("LeakyRelu", ["up"], ["act"], "act", alpha=0.2),
            helper.make_node("ConvTranspose", ["act", "last"], ["y"], "last", pads=[1, 1, 1, 1]),
        ],
        "foreign",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 8, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [weight, last],
    )
    content = _file(graph)
    check_fusions_of_one = build_engine(tensorrt_rtx, content, BuildOptions(buckets=(1, 4)), "sm89").layers
    assert any({"up", "act"} <= set(layer["made_of"]) for layer in check_fusions_of_one)


def _weights(name: str, *dims: int) -> onnx.TensorProto:
    size = 1
    for length in dims:
        size *= length
    return helper.make_tensor(name, TensorProto.FLOAT, dims, [(n % 13 - 6) / 10 for n in range(size)])


def _file(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def test_a_layer_that_tensorrt_cannot_read_is_named() -> None:
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"], "the_determinant")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    with pytest.raises(BuildError, match=r"cannot read the graph: layer 'the_determinant' \(Det\)"):
        build_engine(tensorrt_rtx, _file(graph), BuildOptions(buckets=(1,)), "sm89")
    with pytest.raises(BuildError, match="Failed to parse the ONNX model"):
        build_engine(tensorrt_rtx, b"no graph", BuildOptions(buckets=(1,)), "sm89")


def test_a_layer_that_a_target_cannot_compute_is_named() -> None:
    with pytest.raises(BuildError, match=r"cannot build for sm75: .*'node_linear'.*FP32 GEMM"):
        build_engine(tensorrt_rtx, exported(GREY), BuildOptions(buckets=(64,)), "sm75")


def test_an_input_with_other_open_dimensions_is_refused() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "width"])],
    )
    with pytest.raises(BuildError, match=r"input 'x' has the shape \(-1, -1\)"):
        build_engine(tensorrt_rtx, _file(graph), BuildOptions(buckets=(1,)), "sm89")


def test_targets_are_named_as_they_are_allowed() -> None:
    assert list(targets_of(tensorrt_rtx)) == ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"]
    assert targets_of(tensorrt_rtx)["sm121"] == "12.1"
    with pytest.raises(BuildError, match="target 'sm90': allowed are sm75, sm80"):
        build_engine(tensorrt_rtx, exported(GREY), BuildOptions(buckets=(1,)), "sm90")


def test_the_command_puts_engines_into_the_cache_with_hashes_and_layers(
    grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["engine", str(grey), "--target", "sm89", "--buckets", "2", "1", "--cache", str(tmp_path)]
    assert main(command) == 0
    engines, wrong = find_engines(tmp_path, Artifact.open(grey).manifest.digest)
    assert wrong == []
    assert [engine.key.precision for engine in engines] == ["fp16", "fp32"]
    for engine in engines:
        assert engine.key.buckets == (1, 2)
        assert (engine.key.gpu, engine.key.compute_capability) == ("any", "8.9")
        assert engine.key.runtime == f"tensorrt-rtx-{tensorrt_rtx.__version__}"
        assert engine.record.parity is None
        assert engine.record.options["optimization_level"] == 3
        assert set(engine.record.files) == {PLAN, LAYERS}
        assert len(engine.read_plan()) > 1000
        assert any(layer["kind"] == "deconv" for layer in json.loads((engine.path / LAYERS).read_text()))
    assert "not run yet" in capsys.readouterr().err
    assert main(command) == 0
    assert "is there already" in capsys.readouterr().err


def test_a_failed_build_leaves_the_cache_as_it_was(
    grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """float16 could be built for sm75, float32 not: neither is stored."""
    command = ["engine", str(grey), "--buckets", "64", "--cache", str(tmp_path / "engines"), "--target"]
    assert main([*command, "sm75"]) == 2
    assert "'node_linear'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_what_is_missing(
    grey_of_an_earlier_version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ["engine", str(grey_of_an_earlier_version), "--cache", str(tmp_path)]
    if missing_hardware():
        assert main(engine) == 2
        assert f"{missing_hardware()}; with --target" in " ".join(capsys.readouterr().err.split())
    assert main([*engine, "--target", "sm90"]) == 2
    assert "builds for sm75, sm80, sm86, sm89, sm120, sm121" in capsys.readouterr().err
    assert main([*engine, "--target", "sm89", "--precision", "fp16"]) == 2
    assert "has no graph in fp16: `python -m export complete" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main([*engine, "--target", "sm89", "--buckets", "0"])


def test_building_needs_no_torch(grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "onnx"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    command = ["engine", str(grey), "--target", "sm89", "--buckets", "1", "--precision", "fp32"]
    assert main([*command, "--cache", str(tmp_path)]) == 0
    assert export.engine_command.__name__ in __import__("sys").modules


def test_a_timing_cache_is_taken_only_with_its_own_hash(tmp_path: Path) -> None:
    key = EngineKey("d" * 64, "0" * 64, "tensorrt-11.4.0.106", "NVIDIA H200", "9.0", "fp32", (1,))
    assert read_timing_cache(tmp_path, key) == b""
    write_timing_cache(tmp_path, key, b"first")
    write_timing_cache(tmp_path, key, b"measured")
    assert read_timing_cache(tmp_path, key) == b"measured"
    (file,) = (tmp_path / "timing").iterdir()
    file.write_bytes(b"changed")
    assert read_timing_cache(tmp_path, key) == b""
