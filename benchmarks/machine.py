"""What a result was measured on and with."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import ROOT
from generator.artifact import Artifact

PACKAGES = ("bentoml", "onnxruntime", "numpy", "pillow", "isal", "uvicorn", "uvloop", "httptools", "msgspec")


def manifest(artifact: Artifact | None, **settings: Any) -> dict[str, Any]:
    """Hardware, versions, the generator's identity (None without an artifact), and the settings of a run."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "hardware": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load_before": os.getloadavg()[0],  # of the last minute, in processes: other work disturbs
        },
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "checkout": checkout(),
            **{package: _version(package) for package in PACKAGES},
        },
        "generator": artifact and {"id": artifact.manifest.id, "digest": artifact.manifest.digest},
        "command": ["python", "-m", "benchmarks", *sys.argv[1:]],
        "settings": settings,
    }


def _version(package: str) -> str:
    """onnxruntime's is of the package for GPUs where that one is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-gpu")


def processor() -> str:
    """The processor's name, as Linux tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def checkout() -> str:
    """The commit, marked where files were changed since; 'unknown' outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"
