"""Laws about the project as a whole: who imports whom, and that pins agree."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "generator": {"generator"},
    "training": {"training", "generator"},
    "export": {"export", "generator", "training.checkpoint", "training.encoder", "training.networks"},
    "service": {"service", "generator"},
    "benchmarks": {"benchmarks", "generator"},
    "examples": {"generator", "training"},
}
PACKAGES = sorted(ALLOWED)
# Benchmarks that look at a package's own functions, in their process.
INSIDE = {ROOT / "benchmarks" / "guard": {"service"}, ROOT / "benchmarks" / "training": {"training"}}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        allowed = ALLOWED[package] | INSIDE.get(file.parent, set())
        for name in imports(file):
            if name.split(".")[0] in PACKAGES:
                assert any(name == a or name.startswith(f"{a}.") for a in allowed), (file, name)


@pytest.mark.parametrize("module", ["service.service", "service.__main__", "generator.__main__"])
def test_serving_and_generating_need_no_torch(module: str, models_folder: Path) -> None:
    program = f"import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None; import {module}"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()


def test_the_generator_package_needs_no_web() -> None:
    program = (
        "import sys, generator.__main__;"
        "print([m for m in ('bentoml', 'starlette', 'uvicorn', 'msgspec') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"


def test_the_bento_pins_what_the_project_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    wanted = project["dependencies"] + project["optional-dependencies"]["cpu"]
    assert sorted(bento["python"]["packages"]) == sorted(wanted)


def test_a_package_has_one_pin_in_all_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    pins = {pin for wanted in [project["dependencies"], *extras] for pin in wanted}
    names = [pin.split("==")[0] for pin in pins]
    assert len(names) == len(set(names)), sorted(names)


def test_every_package_is_installed_with_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == folders
