"""The service fetches nothing for a client, opens no file that it names, and unpickles nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.test_server import serving
from tests.test_project import ROOT, imports

# Runs in every process of the server, before anything else.
WATCH = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_watched = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "http.client.connect",
    "ftplib.connect", "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn",
    "os.fork", "open", "os.listdir", "os.scandir", "shutil.copyfile", "exec", "import", "webbrowser.open",
)
def _hook(event, arguments):
    if event in _watched:
        text = " ".join(str(argument)[:200] for argument in arguments[:3])
        os.write(_log, (event + " " + text).replace("\\n", " ").encode("utf-8", "replace") + b"\\n")
sys.addaudithook(_hook)
"""
FORBIDDEN = {
    "pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib",
    "requests", "httpx", "aiohttp", "urllib3", "urllib.request", "http.client", "socket", "ftplib",
}  # fmt: skip

LISTENS = ("listening.py", "socket")  # it takes connections and opens none


@contextmanager
def canary() -> Iterator[tuple[str, socket.socket]]:
    """An address that nobody should ever connect to, and its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"127.0.0.1:{listener.getsockname()[1]}", listener


def is_suspicious(line: str) -> bool:
    """Whether an event is none of those that serving has to cause."""
    event, _, what = line.partition(" ")
    if event == "open":
        return not what.startswith(("/proc/", "/dev/shm/")) and "static_content" not in what
    return event not in ("os.listdir", "os.scandir") or "bait" in what


def test_addresses_and_paths_in_any_field_are_never_followed(
    models_with_encoders: Path, tmp_path: Path
) -> None:
    log, bait = tmp_path / "events", tmp_path / "bait.npy"
    bait.write_bytes(b"bait")
    (tmp_path / "without_torch").mkdir()
    (tmp_path / "without_torch" / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    with (
        canary() as (address, listener),
        serving(tmp_path, models=models_with_encoders, reload_s=0) as (url, _),
    ):
        places = [
            f"http://{address}/x.png", f"https://{address}/x", f"ftp://{address}/x", f"//{address}/x",
            f"file://{bait}", str(bait), "../../../etc/passwd", f"\\\\{address}\\x",
        ]  # fmt: skip
        with httpx.Client(base_url=url, timeout=30) as client:
            good = {"label": 0, "seed": 1}
            client.post("/v1/images", json=good).raise_for_status()
            client.post("/generate", json=good).raise_for_status()
            for form in ("webp", "jpeg", "json", "npy", "zip"):  # what is imported late is imported now
                client.post("/v1/images", json={**good, "format": form}).raise_for_status()
            picture = client.post("/v1/images", json=good).content
            invert = f"/v1/inversions?refine=1&model={client.get('/v1/models').json()['data'][0]['id']}"
            client.post(invert, files={"image": ("x.png", picture)}).raise_for_status()
            client.post(invert, content=b"none", headers={"content-type": "image/png"})
            client.post("/v1/images", json={**good, "n": 1024, "scale": 8})
            client.post("/generate", json={"label": "none"})  # its log shows lines of source files
            client.get("/readyz").raise_for_status()
            known = len(log.read_text().splitlines())
            assert known > 1000
            for place in places:
                for field in ("label", "model", "format", "mix", "latent", "seed", place):
                    for value in (place, [place], {place: 1}):
                        reply = client.post("/v1/images", json={**good, field: value})
                        assert reply.status_code == 422
                for header in ("referer", "origin", "host", "x-forwarded-host", "forwarded", "accept"):
                    reply = client.post("/v1/images", json=good, headers={header: place})
                    assert reply.status_code in (200, 406)
                for query in ("mix", "latent", "truncation", "url"):
                    reply = client.get("/v1/images/grey/0/7.png", params={query: place})
                    assert reply.status_code == 422
                assert client.post(invert, files={"image": (place, picture)}).status_code == 200
                assert client.post(invert, files={"url": (place, picture)}).status_code == 422
                assert client.post(f"{invert}&url=1", content=picture).status_code == 422
                for kind in ("image/png", "image/webp"):
                    reply = client.post(invert, content=place, headers={"content-type": kind})
                    assert reply.status_code == 415
                for field in ("label", "model"):
                    reply = client.post("/generate", json={**good, field: place})
                    assert reply.status_code == 400
                for path in (place, place.replace("/", "%2F")):
                    for prefix in ("/", "/docs/", "/v1/models/", "/v1/images/", "/v1/images/grey/0/"):
                        assert client.get(f"{prefix}{path}").status_code in (404, 410)
            events = log.read_text().splitlines()[known:]
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not [line for line in events if is_suspicious(line)]


@pytest.mark.parametrize("content_type", ["application/octet-stream", "application/vnd.bentoml+pickle"])
@pytest.mark.parametrize("path", ["/generate", "/v1/images"])
def test_what_is_pickled_is_never_read(
    pickled_server: tuple[str, Path], path: str, content_type: str
) -> None:
    """Nor by BentoML, whose own clients and workers may speak in pickles."""
    url, proof = pickled_server
    pickle = b"cos\nsystem\n(S'touch %s'\ntR." % str(proof).encode()
    headers = {"content-type": content_type, "payload-container": "DefaultContainer", "bentoml-args-num": "1"}
    reply = httpx.post(f"{url}{path}", content=pickle, headers=headers)
    assert 400 <= reply.status_code < 500
    assert not proof.exists()


@pytest.fixture(scope="module")
def pickled_server(
    models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("home")
    with serving(home, models=models_folder) as (url, _):
        yield url, home / "proof"


@pytest.mark.parametrize("package", ["generator", "service"])
def test_serving_imports_nothing_that_unpickles_or_fetches(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        for name in imports(file):
            if (file.name, name) == LISTENS:
                assert "connect(" not in file.read_text()
                continue
            assert name not in FORBIDDEN, (file, name)
            assert name.split(".")[0] not in FORBIDDEN, (file, name)
        assert "allow_pickle=True" not in file.read_text(), file


def test_the_description_of_a_model_holds_no_path_of_the_server(pickled_server: tuple[str, Path]) -> None:
    url, home = pickled_server
    told = json.dumps(httpx.get(f"{url}/v1/models").json())
    assert str(home.parent) not in told
    assert str(ROOT) not in told
