"""Which peers there are, how each is started, and how much it may be tuned."""

from __future__ import annotations

import ctypes.util
import itertools
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import PEERS, python_of, site_packages
from benchmarks.peers.settings import PeerSettings
from benchmarks.questions import ONE_PNG, ONE_PNG_V2, Question
from benchmarks.servers import ROOT, Server, ServerError, clean_environment

CORES = os.cpu_count() or 1

Choice = Mapping[str, Any]  # fields of PeerSettings
Launch = Callable[[PeerSettings, dict[str, str]], list[str]]  # may add to the environment


@dataclass(frozen=True)
class Peer:
    """A server to compare with."""

    name: str
    about: str  # what it is, in words
    requirements: tuple[str, ...]  # beyond what our own service computes with
    axes: tuple[tuple[Choice, ...], ...]  # tuning tries every combination: 8 for each peer
    ready_path: str
    question: Question
    launch: Launch
    bare: tuple[str, ...] = ()  # installed without what they ask for: it is not needed here

    def ways(self, settings: PeerSettings) -> Iterator[PeerSettings]:
        """Every combination of the axes."""
        for choices in itertools.product(*self.axes):
            yield replace(settings, **{name: value for choice in choices for name, value in choice.items()})

    def server(self, settings: PeerSettings) -> Server:
        """Raises ServerError where something that it needs is missing."""
        python = python_of(self.name)
        if not python.is_file():
            raise ServerError(f"{self.name} is not installed: python -m benchmarks install")
        environment = {
            **clean_environment(),
            **settings.to_environment(),
            "PEER_PORT": "{port}",
            "PYTHONPATH": str(ROOT),
        }
        command = self.launch(settings, environment)
        is_plain = settings.encoder != "ours"
        return Server(self.name, tuple(command), environment, self.ready_path, self.question, is_plain)


def _axis(name: str, *values: object) -> tuple[Choice, ...]:
    return tuple({name: value} for value in values)


# One process whose engine has all cores, or two that share them.
PROCESSES: tuple[Choice, ...] = (
    {"workers": 1, "threads": CORES},
    {"workers": 2, "threads": max(1, CORES // 2)},
)


def _module(name: str) -> Launch:
    def launch(settings: PeerSettings, environment: dict[str, str]) -> list[str]:
        return [str(python_of(name)), "-m", f"benchmarks.peers.{name}_server"]

    return launch


def _bentoml(settings: PeerSettings, environment: dict[str, str]) -> list[str]:
    home = PEERS / "bentoml" / "home"
    home.mkdir(exist_ok=True)
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    return _module("bentoml")(settings, environment)


def _rayserve(settings: PeerSettings, environment: dict[str, str]) -> list[str]:
    """On this machine's loopback alone, where a token keeps others out; nothing is told to its makers."""
    is_throughput = settings.preset == "throughput"
    environment |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for "on the loopback", on Linux too
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(),  # else it writes one into the home folder
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": str(int(is_throughput)),
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # each replica on a port of its own, for others to balance
    }
    return _module("rayserve")(settings, environment)


def _triton(settings: PeerSettings, environment: dict[str, str]) -> list[str]:
    """tritonserver and its Python backend, from the nvidia-pytriton wheel, on the CPU."""
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if ctypes.util.find_library(library) is None:
        raise ServerError(f"triton needs lib{library}, which is not there: apt-get install lib{library}")
    home = site_packages("triton") / "pytriton" / "tritonserver"
    stub = home / "backends" / "python" / "triton_python_backend_stub"
    if not stub.exists():  # the wheel has one for each version of Python; the backend looks here
        stub.symlink_to(home / "python_backend_stubs" / library.removeprefix("python") / stub.name)
    repository = (
        PEERS / "triton" / "repositories" / f"{settings.workers}-{settings.max_batch}-{settings.wait_ms}"
    )
    _write_model(repository / "generator", settings)
    options = {
        "--model-repository": str(repository),
        "--backend-directory": str(home / "backends"),
        "--http-address": "127.0.0.1",
        "--http-port": "{port}",
        "--allow-grpc": "false",
        "--allow-metrics": "false",
        "--log-info": "false",
        "--exit-timeout-secs": "5",
    }
    return [str(home / "bin" / "tritonserver"), *itertools.chain(*options.items())]


def _write_model(folder: Path, settings: PeerSettings) -> None:
    """A model of Triton's: its configuration, and a module that finds ours."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(
        f"""backend: "python"
max_batch_size: {settings.max_batch}
input [
    {{ name: "label" data_type: TYPE_INT32 dims: [ 1 ] }},
    {{ name: "seed" data_type: TYPE_UINT32 dims: [ 1 ] }}
]
output [ {{ name: "png" data_type: TYPE_STRING dims: [ 1 ] }} ]
instance_group [ {{ count: {settings.workers} kind: KIND_CPU }} ]
dynamic_batching {{ max_queue_delay_microseconds: {round(settings.wait_ms * 1000)} }}
"""
    )
    # The backend's Python is isolated: it reads no PYTHONPATH and knows no virtual environment.
    paths = [str(ROOT), str(site_packages("triton"))]
    (folder / "1" / "model.py").write_text(
        f"import sys\n\nsys.path[1:1] = {paths!r}\n"
        "from benchmarks.peers.triton_model import TritonPythonModel  # noqa: E402, F401\n"
    )


CATALOGUE: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "fastapi",
            "FastAPI and onnxruntime, no batching",
            ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
            (_axis("handler", "def", "async def"), _axis("workers", 1, 2), _axis("threads", 1, 2)),
            "/readyz",
            ONE_PNG,
            _module("fastapi"),
        ),
        Peer(
            "mosec",
            "mosec, which batches",
            ("mosec==0.9.8",),
            (PROCESSES, _axis("wait_ms", 1, 2), _axis("max_batch", 16, 64)),
            "/",
            ONE_PNG,
            _module("mosec"),
        ),
        Peer(
            "triton",
            "Triton 2.51 with its Python backend, which batches",
            ("numpy==1.26.4",),  # with numpy 2 this backend answers no bytes at all
            (PROCESSES, _axis("wait_ms", 0, 2), _axis("max_batch", 16, 64)),
            "/v2/health/ready",
            ONE_PNG_V2,
            _triton,
            bare=("nvidia-pytriton==0.7.0",),
        ),
        Peer(
            "litserve",
            "LitServe, which batches",
            ("litserve==0.2.19", "fastapi==0.165.0"),
            (PROCESSES, _axis("wait_ms", 0, 2), _axis("fronts", 1, 2)),
            "/health",
            ONE_PNG,
            _module("litserve"),
        ),
        Peer(
            "rayserve",
            "Ray Serve, which batches",
            ("ray[serve]==2.60.0",),
            (PROCESSES, _axis("wait_ms", 0, 2), _axis("preset", "default", "throughput")),
            "/v1/images",
            ONE_PNG,
            _rayserve,
        ),
        Peer(
            "bentoml",
            "BentoML as it comes: a synchronous method that returns an image",
            ("bentoml==1.4.39",),
            (_axis("workers", 1, 2), _axis("threads", 1, 2), _axis("pool", 1, 8)),
            "/readyz",
            ONE_PNG,
            _bentoml,
        ),
    )
}
