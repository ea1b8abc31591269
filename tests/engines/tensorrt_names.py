"""python -m tests.engines.tensorrt_names: which names TensorRT's Python bindings have, version by version.

Writes tensorrt_names.json beside this file: {version: {class: [members]}}, "" for the module's own names. The
bindings are those of PyPI. TensorRT's libraries, which they load, are not there, so small libraries take
their place, which have the functions that the bindings look for and do nothing. Needs network, pip and a C
compiler; the tests need the file alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSIONS = ("tensorrt-cu12-bindings==10.0.1", "tensorrt-cu12-bindings==10.16.1.11",
            "tensorrt-cu13-bindings==11.0.0.114", "tensorrt-cu13-bindings==11.4.0.106")  # fmt: skip
NAMES = Path(__file__).with_suffix(".json")
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
FUNCTIONS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
    "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins", "getBuilderSafePluginRegistry",
)  # fmt: skip
LOOK = """
import inspect, json, tensorrt_bindings as trt
names = {"": sorted(name for name in dir(trt) if not name.startswith("__"))}
for name, value in vars(trt).items():
    if inspect.isclass(value):
        names[name] = sorted(member for member in dir(value) if not member.startswith("_"))
print(json.dumps(names))
"""


def names_of(requirement: str) -> dict[str, list[str]]:
    """The names of the bindings' module and of each of its classes."""
    major = requirement.partition("==")[2].partition(".")[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*download, "--dest", scratch, requirement], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        source = folder / "stub.c"
        source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
        for library in LIBRARIES:
            target = folder / "tensorrt_bindings" / f"lib{library}.so.{major}"
            subprocess.run(["cc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
        found = subprocess.run([sys.executable, "-c", LOOK], cwd=folder, capture_output=True, check=True)
    names: dict[str, list[str]] = json.loads(found.stdout)
    return names


def main() -> None:
    names = {requirement: names_of(requirement) for requirement in VERSIONS}
    lines = [
        f'"{version}": {{\n'
        + ",\n".join(f'  "{name}": {json.dumps(members)}' for name, members in sorted(classes.items()))
        + "\n}"
        for version, classes in names.items()
    ]
    NAMES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
