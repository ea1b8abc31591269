"""The service on TensorRT: real server processes over hardware that is not there, and on this machine."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from generator.artifact import ONNX, Artifact
from generator.engines import DeviceLost, EngineError
from generator.engines.cache import PLAN, EngineKey, store_engine
from generator.engines.parity import PixelParity
from generator.engines.tensorrt import find_hardware
from generator.latents import latents
from service.errors import Unready
from service.models import Models
from service.settings import Settings
from tests.conftest import GREY
from tests.engines.stand_in import RUNTIME, images_of, plan
from tests.service.test_faults import DEADLINE_S
from tests.service.test_server import ROOT, environment, free_port, serving

BUCKETS = (1, 2, 4, 8, 16)
# Put before everything else that a process of the server imports. A latent above 50 breaks the GPU.
STAND_IN = """
import sys
sys.path.insert(0, {root!r})
import generator.engines.tensorrt as engine
from generator.artifact import read_manifest
from pathlib import Path
from tests.engines.stand_in import hardware, images_of

def broken_by_some(latent, vectors, spec):
    if latent.max() > 50:
        runtime.lost = True
    return images_of(latent, vectors, spec)

spec = read_manifest(Path({artifact!r})).spec
found, runtime, _ = hardware(spec, make=broken_by_some)
engine.find_hardware = lambda: found
"""


@pytest.fixture(scope="module")
def engines(grey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, artifact = tmp_path_factory.mktemp("engines"), Artifact.open(grey)
    sha256 = artifact.manifest.files[ONNX]
    key = EngineKey(artifact.manifest.digest, sha256, RUNTIME, "NVIDIA H200", "9.0", "fp32", BUCKETS)
    parity = PixelParity("onnxruntime", (1,), 0, 0, 1)
    store_engine(folder, key, {PLAN: plan(BUCKETS)}, parity=parity, options={}, created="")
    return folder


@pytest.fixture(scope="module")
def server(grey: Path, engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("home")
    (home / "without_torch").mkdir()  # the first folder that the server's processes import from
    (home / "without_torch" / "sitecustomize.py").write_text(
        STAND_IN.format(root=str(ROOT), artifact=str(grey))
    )
    with serving(home, models=grey, engine="tensorrt", engines=engines) as (url, _):
        yield url, home / "server.log"


def expected(label: int, seeds: range) -> Any:
    vectors = GREY.class_vectors([label] * len(seeds))
    return images_of(latents(seeds, GREY.latent_dim, noise=GREY.noise), vectors, GREY)


def test_requests_of_any_size_at_once_get_their_own_images(server: tuple[str, Path]) -> None:
    async def run() -> list[tuple[int, range, httpx.Response]]:
        async with httpx.AsyncClient(base_url=server[0], timeout=30) as client:
            wanted = [(n % 3, range(n, n + 1 + (n * 7) % 40)) for n in range(80)]
            replies = await asyncio.gather(
                *(
                    client.post(
                        "/v1/images",
                        json={"label": label, "seed": seeds.start, "n": len(seeds), "format": "npy"},
                    )
                    for label, seeds in wanted
                )
            )
            return [(*one, reply) for one, reply in zip(wanted, replies, strict=True)]

    for label, seeds, reply in asyncio.run(run()):
        assert reply.status_code == 200, reply.text
        np.testing.assert_array_equal(np.load(io.BytesIO(reply.content)), expected(label, seeds))


def test_the_server_tells_which_engine_serves(server: tuple[str, Path]) -> None:
    url, log = server
    (model,) = httpx.get(f"{url}/v1/models").json()["data"]
    assert model["engine"]["key"].startswith("tensorrt-11.4.0.106-fp32-NVIDIA H200-sm9.0")
    assert "TensorRT on NVIDIA H200" in model["engine"]["choice"]
    assert model["engine"]["not_taken"] == []
    assert f"{model['version']} is served by TensorRT on NVIDIA H200" in log.read_text()
    assert model["warm_batch_sizes"] == list(BUCKETS)


def test_a_worker_whose_gpu_is_lost_is_not_ready_ends_and_is_replaced(server: tuple[str, Path]) -> None:
    url, log = server

    def readiness() -> httpx.Response | None:
        try:
            return httpx.get(f"{url}/readyz", timeout=10)
        except httpx.TransportError:
            return None

    ready = readiness()
    assert ready is not None
    (before,) = [worker["pid"] for worker in ready.json()["workers"]]
    broken = httpx.post(f"{url}/v1/images", json={"label": 0, "latent": [51.0] * GREY.latent_dim}, timeout=30)
    assert broken.status_code == 503
    assert "the GPU was lost" in broken.json()["detail"]
    after = readiness()
    assert after is None or after.status_code == 503
    began = time.monotonic()
    while after is None or after.status_code != 200:
        assert time.monotonic() - began < DEADLINE_S
        time.sleep(0.1)
        after = readiness()
    assert [worker["pid"] for worker in after.json()["workers"]] != [before]
    assert "the GPU is lost: cudaStreamSynchronize failed with cudaErrorIllegalAddress" in log.read_text()
    reply = httpx.post(f"{url}/v1/images", json={"label": 1, "seed": 3, "format": "npy"}, timeout=30)
    np.testing.assert_array_equal(np.load(io.BytesIO(reply.content)), expected(1, range(3, 4)))


def test_a_gpu_lost_in_a_start_fails_the_start_and_one_lost_later_ends_the_worker_once(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr("service.models.end_soon", ended.append)
    models = Models(Settings(models=models_folder, workers=1))
    error = DeviceLost("the GPU is lost")
    assert models.tell_lost(error) is error
    models.start()
    models.tell_alive()
    models.check_ready()
    for _ in range(3):
        assert isinstance(models.tell_lost(error), Unready)
        with pytest.raises(Unready):
            models.check_ready()
    assert ended == ["the GPU is lost; this worker ends"]
    asyncio.run(models.close())


def missing() -> str:
    """What this machine lacks to run TensorRT; skips the test where it lacks nothing."""
    try:
        find_hardware()
    except EngineError as error:
        return str(error).partition(": ")[2]
    pytest.skip("this machine has a GPU and TensorRT")


def test_the_cpu_serves_where_there_is_no_gpu_and_says_why(models_folder: Path) -> None:
    lacks = missing()
    models = Models(Settings(models=models_folder, workers=1))
    models.start()
    for model in models:
        assert [name for name, _ in model.not_taken] == ["tensorrt", "onnxruntime-gpu"]
        assert all(lacks in reason for _, reason in model.not_taken)
    asyncio.run(models.close())


@pytest.mark.parametrize("engine", ["tensorrt", "onnxruntime-gpu"])
def test_an_engine_that_is_asked_for_and_cannot_run_ends_the_start_with_one_sentence(
    tmp_path: Path, models_folder: Path, engine: str
) -> None:
    lacks = missing()
    result = subprocess.run(
        [sys.executable, "-m", "service", "--engine", engine, "--port", str(free_port())],
        cwd=ROOT,
        env=environment(tmp_path, models=models_folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert result.returncode == 1
    told = result.stdout + result.stderr
    assert f"mintage cannot start: {'TensorRT' if engine == 'tensorrt' else 'onnxruntime'} cannot" in told
    assert lacks in told
    assert "Traceback" not in told
