"""Each peer's own virtual environment, so that nobody's packages decide about another's."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import ROOT

PEERS = ROOT / "runs" / "peers"
INSTALLED = "installed.txt"

# What our own service computes an image with, in the versions installed here: the same for every peer.
SHARED = ("onnxruntime", "numpy", "pillow", "isal", "msgspec", "pydantic-settings")


class InstallError(RuntimeError):
    """A peer that could not be installed."""


def python_of(name: str) -> Path:
    return PEERS / name / "bin" / "python"


def site_packages(name: str) -> Path:
    return PEERS / name / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def requirements(own: Sequence[str]) -> list[str]:
    """A peer's own requirements, and the shared ones that it does not state otherwise."""
    stated = {requirement.split("==")[0] for requirement in own}
    return [*own, *(f"{package}=={version(package)}" for package in SHARED if package not in stated)]


def install(name: str, own: Sequence[str], bare: Sequence[str] = ()) -> bool:
    """Makes a peer's environment unless it is as it should be already; whether it had to.

    `bare` are installed without their dependencies. Raises InstallError.
    """
    wanted = requirements(own)
    record = PEERS / name / INSTALLED
    content = "\n".join([*wanted, *bare]) + "\n"
    if record.is_file() and record.read_text() == content:
        return False
    venv.create(PEERS / name, clear=True, with_pip=True)
    for packages in (wanted, ["--no-deps", *bare] if bare else []):
        if packages:
            _pip(name, packages)
    record.write_text(content)
    return True


def _pip(name: str, packages: Sequence[str]) -> None:
    command = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    if result.returncode:
        raise InstallError(f"{name}: pip failed: {result.stderr.strip()[-2000:]}")


def installed(name: str) -> list[str]:
    """Every package of a peer's environment with its version, for the record."""
    command = [str(python_of(name)), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.split()
