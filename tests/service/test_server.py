"""The service as its users start it: real processes, real sockets."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bentoml
import httpx
import numpy as np
import pytest
from PIL import Image

from generator import Generator
from tests.service.test_requests import WRONG

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 90


def environment(home: Path, **settings: object) -> dict[str, str]:
    extra = {f"MINTAGE_{key.upper()}": str(value) for key, value in settings.items()}
    without_torch = home / "without_torch"
    without_torch.mkdir(exist_ok=True)
    (without_torch / "torch.py").write_text("raise ImportError('serving needs no torch')")
    return {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": str(without_torch),
        "MINTAGE_WORKERS": "1",
        **extra,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    home: Path, command: list[str] | None = None, **settings: object
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A running, ready server; its address and process."""
    port = free_port()
    command = command or [sys.executable, "-m", "service"]
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=ROOT,
        env=environment(home, **settings),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert process.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, (home / "server.log").read_text()
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@pytest.fixture(scope="module")
def server(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("home"), models=models_folder, max_images=100) as (url, _):
        yield url


REQUESTS: list[dict[str, Any]] = [
    *({"label": n % 3, "seed": n} for n in range(60)),
    *({"label": "Bag", "seed": n, "n": 20, "format": "npy"} for n in range(10)),
    *({"mix": {"Bag": n, "Ankle boot": 1}, "seed": n, "truncation": 0.5} for n in range(10)),
    *({"label": "cat", "latent": [0.2 * n] * 4, "model": "rgb", "format": "webp"} for n in range(10)),
]


def post(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/images", json=fields)


async def concurrently(url: str, requests: list[dict[str, Any]]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        return await asyncio.gather(*(client.post(f"{url}/v1/images", json=one) for one in requests))


def test_the_byte_law_alone_under_load_and_after_a_restart(
    server: str, models_folder: Path, tmp_path: Path
) -> None:
    alone = [post(server, **request) for request in REQUESTS]
    assert {reply.status_code for reply in alone} == {200}
    contents = [reply.content for reply in alone]
    assert len(set(contents)) == len(contents)

    for _ in range(5):
        under_load = asyncio.run(concurrently(server, REQUESTS))
        assert [reply.content for reply in under_load] == contents
    assert max(int(reply.headers["x-batch-size"]) for reply in under_load) > 1

    with serving(tmp_path, models=models_folder) as (restarted, _):
        again = asyncio.run(concurrently(restarted, REQUESTS))
    assert [reply.content for reply in again] == contents


def test_the_served_pixels_are_the_generators(server: str, grey: Path) -> None:
    reply = post(server, label=2, seed=5, n=100, format="npy")
    made = np.load(io.BytesIO(reply.content), allow_pickle=False)
    np.testing.assert_array_equal(made, Generator.open(grey).images([2] * 100, range(5, 105)))


def test_a_hundred_wrong_requests_are_refused_and_the_server_goes_on(server: str) -> None:
    wrong = [fields for fields, _, _ in WRONG]
    deep = b"[" * 50_000
    raw = [b'{"label": ' + deep, deep, b"", b"{", b"\x00\xff", b"[]", b'{"label": NaN}', b"x" * 100_000]
    paths = [
        "/v1",
        "/v1/image",
        "/v3/models",
        "/etc/passwd",
        "/v1//images",
        "/v1/images/",
        "/v1/models/a/b",
        "/%00",
    ]
    with httpx.Client(base_url=server) as client:
        replies = [client.post("/v1/images", json=fields) for fields in wrong]
        headers = {"content-type": "application/json"}
        replies += [client.post("/v1/images", content=content, headers=headers) for content in raw]
        replies += [
            client.post("/v1/images", content=b"label=0", headers={"content-type": kind}) for kind in "ab"
        ]
        replies += [client.request(method, path) for path in paths for method in ("GET", "POST", "DELETE")]
        replies += [client.request(method, "/v1/images") for method in ("GET", "PUT", "PATCH", "OPTIONS")]
        replies += [client.post(path) for path in ("/v1/models", "/livez", "/docs", "/openapi.json")]
        replies += [
            client.post("/v1/images", json={"label": 0}, headers={"accept": accept})
            for accept in ("text/html", "image/gif", "image/png;q=0", "*/*;q=0")
        ]
        replies += [
            client.post("/v1/images", json={"label": 0, key: 1}) for key in ("Label", "seeds", "N", "")
        ]
        replies += [
            client.post("/v1/images", json={"label": label}) for label in ("x" * 9999, "👟", "0", "-1")
        ]
        replies += [
            client.post("/v1/images", json={"label": 0, "n": n}) for n in (0, -1, 1025, 10**9, 1.5, "1")
        ]
        replies += [client.post("/v1/images", json={"label": 0, "model": m}) for m in ("x", "", "../grey", 5)]
    assert len(replies) >= 100
    assert {reply.status_code for reply in replies} <= {400, 404, 405, 406, 413, 415, 422}
    for reply in replies:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["detail"]
    assert post(server, label=0, seed=0).status_code == 200


def test_several_workers_share_a_port_and_keep_the_byte_law(
    server: str, models_folder: Path, tmp_path: Path
) -> None:
    contents = [post(server, **request).content for request in REQUESTS]
    with serving(tmp_path, models=models_folder, workers=2, threads=1) as (url, process):
        for _ in range(3):
            assert [reply.content for reply in asyncio.run(concurrently(url, REQUESTS))] == contents
        children = subprocess.run(
            ["ps", "--ppid", str(process.pid), "-o", "args="], capture_output=True, text=True, check=True
        )
    assert children.stdout.count("_bentoml_impl.worker.service") == 2


def test_bentomls_own_method_refuses_what_is_wrong_and_harms_nobody(server: str) -> None:
    wrong: list[dict[str, Any]] = [
        *({"label": label} for label in ("Hat", 99, -1)),
        *({"label": 0, "seed": seed} for seed in (-1, 2**32)),
        *({"label": 0, "truncation": truncation} for truncation in (99, 0)),
        *({"label": 0, "n": n} for n in (0, 101)),
        {"label": 0, "model": "none"},
        {"label": 0, "n": 100, "scale": 64},
    ]

    async def both() -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=server, timeout=30) as client:
            bad = [client.post("/generate", json=fields) for fields in wrong]
            good = [client.post("/v1/images", json={"label": 0, "seed": n, "n": 40}) for n in range(20)]
            replies = await asyncio.gather(*bad, *good)
        return replies[: len(bad)], replies[len(bad) :]

    refused, made = asyncio.run(both())
    assert {reply.status_code for reply in refused} <= {400, 422}
    assert {reply.status_code for reply in made} == {200}


def test_clients_that_hang_up_leave_the_server_serving(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    body = b'{"label": 0, "n": 100, "scale": 4}'
    head = f"POST /v1/images HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    for _ in range(50):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(head + body)
    assert post(server, label=0, seed=0).status_code == 200


def test_broken_connections_leave_the_server_serving(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    head = b"POST /v1/images HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    for start in (b"", b"\x16\x03\x01", b"GET", head, head + b"content-length: 50\r\n\r\n{", head + b"\r\n"):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(start)
    assert post(server, label=0, seed=0).status_code == 200


def test_bentomls_own_client_gets_the_same_image(server: str) -> None:
    with bentoml.SyncHTTPClient(server) as client:
        image = client.generate(label="Bag", seed=7, n=4, scale=2)
    expected = Image.open(io.BytesIO(post(server, label="Bag", seed=7, n=4, scale=2).content))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


def test_bentomls_own_client_gets_the_same_film(server: str) -> None:
    keyframes: list[dict[str, Any]] = [{"label": "Bag", "seed": 7}, {"mix": {"0": 1, "2": 1}, "seed": 8}]
    fields = {"keyframes": keyframes, "frames": 12, "loop": True, "scale": 2}
    with bentoml.SyncHTTPClient(server) as client:
        film = client.interpolate(**fields)
    content = film.read_bytes() if isinstance(film, Path) else film
    reply = httpx.post(f"{server}/v1/interpolations", json={**fields, "format": "gif"})
    assert content == reply.content
    assert httpx.post(f"{server}/interpolate", json={"keyframes": [{"label": 9}] * 2}).status_code == 400
    assert httpx.post(f"{server}/interpolate", json={"keyframes": keyframes[:1]}).status_code in (400, 422)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_every_process(
    models_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with serving(tmp_path, models=models_folder) as (_, process):
        process.send_signal(number)
        assert process.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": "/nowhere"}, "MINTAGE_MODELS /nowhere: there is no generator"),
        ({"default_model": "cats"}, "MINTAGE_DEFAULT_MODEL 'cats' is not there"),
        ({"max_batch": 0}, "MINTAGE_MAX_BATCH '0': Input should be greater than or equal to 2"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name(
    models_folder: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "service", "--port", str(free_port())],
        cwd=ROOT,
        env=environment(tmp_path, **{"models": models_folder, **settings}),
        capture_output=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert process.returncode != 0
    assert message in process.stderr.decode()


def test_a_damaged_artifact_is_never_served(models_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(models_folder, tmp_path / "models")
    with (tmp_path / "models" / "rgb" / "generator.onnx").open("ab") as graph:
        graph.write(b"!")
    process = subprocess.run(
        [sys.executable, "-m", "service", "--port", str(free_port())],
        cwd=ROOT,
        env=environment(tmp_path, models=tmp_path / "models"),
        capture_output=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert process.returncode != 0
    assert "generator.onnx was changed" in process.stderr.decode()


def test_the_bento_builds_and_serves_the_shipped_models(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr.decode()
    tag = built.stdout.decode().strip().rsplit(":", 2)
    bento = ":".join(tag[-2:]).strip()
    (source,) = home.glob("bentos/mintage/*/src")
    for package in ("generator", "service"):
        here = {file.relative_to(ROOT) for file in (ROOT / package).rglob("*.py")}
        assert {file.relative_to(source) for file in (source / package).rglob("*.py")} == here
    with serving(home, command=[sys.executable, "-m", "bentoml", "serve", bento]) as (url, _):
        reply = post(url, label="Sneaker", seed=7)
        assert reply.status_code == 200
        assert reply.headers["x-model"].startswith("fashion@")
        assert httpx.get(f"{url}/openapi.json").json()["info"]["title"] == "mintage"
