"""Laws of the stream, over real sockets of a real server."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus

from generator import Generator
from service.stream_messages import changed
from tests.service.stream_client import Client, Frame, streaming
from tests.service.test_server import serving

FIRST, SECOND = "first-key-0123456789", "second-key-0123456789"
IDLE_S = 1.5
MOST_STREAMS = 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(models_folder: Path, home: Path) -> Iterator[str]:
    settings: dict[str, Any] = {
        "max_streams": MOST_STREAMS,
        "stream_idle_s": IDLE_S,
        "stream_messages_per_s": 1000,
        "cors_origins": "https://friend.example",
    }
    with serving(home, models=models_folder, **settings) as (url, _):
        yield url


@pytest.fixture(scope="module")
def closed_server(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings: dict[str, Any] = {
        "api_keys": f"{FIRST},{SECOND}",
        "rate_images_per_s": 0.01,
        "rate_burst_images": 3,
        "body_timeout_s": 1,
    }
    with serving(tmp_path_factory.mktemp("home"), models=models_folder, **settings) as (url, _):
        yield url


def single(url: str, **fields: Any) -> bytes:
    return httpx.post(f"{url}/v1/images", json=fields).content


def metric(url: str, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def until_closed(client: Client) -> tuple[list[dict[str, Any]], int, str]:
    """The problems told before the server hangs up, and what it says then."""
    told = []
    try:
        while True:
            found = client.next()
            if isinstance(found, dict):
                told.append(found)
    except ConnectionClosed as closed:
        ending = closed.rcvd
    assert ending is not None
    return told, ending.code, ending.reason


@pytest.mark.parametrize("recipe", [
    {"model": "grey", "label": "Bag", "seed": 7},
    {"model": "rgb", "mix": {"cat": 1, "dog": 3}, "seed": 7, "truncation": 0.5},
    {"model": "grey", "label": 2, "latent": [0.5, -1, 0, 2, 0.1], "scale": 3},
])  # fmt: skip
def test_frames_are_the_images_of_single_requests(server: str, recipe: dict[str, Any]) -> None:
    with streaming(server) as client:
        png = client.ask(**recipe)
        raw = client.ask(format="raw")
        webp = client.ask(format="webp")
        version = client.model
    assert png.content == single(server, **recipe)
    assert webp.content == single(server, **recipe, format="webp")
    pixels = np.asarray(Image.open(io.BytesIO(png.content)))
    assert raw.content == pixels.tobytes()
    assert (raw.height, raw.width) == pixels.shape[:2]
    assert raw.channels == (3 if recipe["model"] == "rgb" else 1)
    assert png.seed == recipe.get("seed")
    assert version == httpx.get(f"{server}/v1/models/{recipe['model']}").json()["version"]


def test_a_message_changes_what_it_names_and_leaves_the_rest(server: str) -> None:
    with streaming(server) as client:
        client.send(model="grey", label="Bag", seed=7, truncation=0.5, format="raw")
        assert client.frame().content != client.ask(seed=8).content
        assert client.ask(label=0).content == client.ask(seed=8, label=0, truncation=0.5).content
        assert client.ask(truncation=None).content == raw_of(server, model="grey", label=0, seed=8)
        mixed = client.ask(mix={"0": 1, "1": 1})
        assert mixed.content == raw_of(server, model="grey", mix={"0": 1, "1": 1}, seed=8)
        of_another_model = client.ask(model="rgb", label=0, seed=1)
        assert of_another_model.content == raw_of(server, model="rgb", label=0, seed=1)


def test_to_name_the_model_that_is_streamed_changes_nothing(server: str) -> None:
    with streaming(server) as client:
        by_default = client.ask(label=0, seed=7, format="raw")
        assert client.ask(model="grey").content == by_default.content


def raw_of(url: str, **fields: Any) -> bytes:
    array: np.ndarray[Any, Any] = np.load(io.BytesIO(single(url, **fields, format="npy")))
    return array.tobytes()


def test_without_a_seed_one_is_drawn_told_and_kept(server: str) -> None:
    with streaming(server) as client:
        first = client.ask(label=0, format="raw")
        assert first.seed is not None
        assert client.ask(label=1).seed == first.seed
        assert first.content == raw_of(server, label=0, seed=first.seed)


def test_deltas_add_up(server: str, grey: Path) -> None:
    generator = Generator.open(grey)
    start = generator.latents([7])[0]
    step = [0.25, -0.5, 0, 1, 0]
    with streaming(server) as client:
        client.ask(model="grey", label=1, seed=7, format="raw")
        client.ask(delta=step)
        twice = client.ask(delta=step)
        assert twice.seed is None
        end = (start + 2 * np.array(step)).tolist()
        assert twice.content == raw_of(server, model="grey", label=1, latent=end)

        client.ask(seed=7, directions={"0": 1.0})
        client.ask(delta={"0": 0.5, "1": -2})
        both = client.ask(delta={"1": 1})
        moved = {"0": 1.5, "1": -1.0}
        assert both.content == raw_of(server, model="grey", label=1, seed=7, directions=moved)


@pytest.mark.parametrize(("fields", "named"), [
    ({"label": 99}, "label"), ({"labels": 0}, "labels"), ({"seed": -1}, "seed"), ({"n": 2}, "n"),
    ({"seen": "1"}, "seen"), ({"window": 0}, "window"), ({"format": "gif"}, "format"),
    ({"delta": [1]}, "delta"), ({"delta": "up"}, "delta"), ({"scale": 65}, "scale"),
    ({"latent": [[0] * 5] * 2}, "latent"), ({"model": "none"}, "model"), ({"seq": 0}, "seq"),
    ({"delta": {"99": 1}}, "directions"), ({"quality": 5}, "quality"),
    ({"seed": 1, "latent": [0] * 5}, "seed"), ({"model": []}, "model"), ({"mix": {"0": "x"}}, "mix"),
    ({"directions": "x", "delta": {"0": 1}}, "directions"), ({"delta": [1e30] * 5}, "latent"),
    ({"latent": [[0] * 5] * 2, "delta": [0] * 5}, "delta"), ({"x" * 5000: 0}, "x" * 100),
])  # fmt: skip
def test_a_wrong_message_is_told_and_changes_nothing(server: str, fields: dict[str, Any], named: str) -> None:
    with streaming(server) as client:
        before = client.ask(model="grey", label=1, seed=7, format="raw")
        told = client.problem(**({"seq": 5} | fields))
        assert told["problem"]["status"] == 422
        assert told["problem"]["field"] == named
        assert told["seq"] in (fields.get("seq", 5), None)
        assert client.ask(seq=6).content == before.content


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "\x00", "[" * 50_000, '{"label": NaN}', b'{"label": 0}']
)
def test_what_is_no_json_object_is_told_and_the_stream_goes_on(server: str, text: str | bytes) -> None:
    with streaming(server) as client:
        client.socket.send(text)
        told = client.next()
        assert isinstance(told, dict)
        assert told["problem"]["status"] == 400
        assert client.ask(label=0).seq == 0


def test_a_slow_reader_gets_the_newest(server: str) -> None:
    """What it is sent is never older than what it had asked for when it said that it was ready."""
    with streaming(server) as client:
        client.send(window=1, model="rgb", label=0, scale=8, format="raw")
        client.frame()
        asked, frames = 0, []
        for _ in range(20):
            for _ in range(20):  # it moves on and on while it draws one frame
                asked += 1
                client.send(seq=asked, seed=asked)
            frame = client.next()
            assert isinstance(frame, Frame)
            client.send(seen=frame.seq)
            frames.append((frame, asked))
        while frames[-1][0].seq < asked:
            frames.append((client.frame(), asked))
    for (_, asked_then), (frame, _) in pairwise(frames):
        assert frame.seq >= asked_then
    last, _ = frames[-1]
    assert last.content == raw_of(server, model="rgb", label=0, seed=asked, scale=8)
    assert sum(1 + frame.superseded for frame, _ in frames) == asked


def test_a_client_that_reads_nothing_is_sent_no_more_than_its_window(server: str) -> None:
    before = metric(server, "mintage_stream_frames_total")
    with streaming(server) as deaf:
        for seed in range(300):
            deaf.send(model="rgb", label=0, seed=seed, scale=64, format="raw", window=3)
            if seed % 50 == 0:
                time.sleep(0.05)
        with streaming(server) as other:  # is served meanwhile
            assert other.ask(label=0, seed=1).seq == 0
        assert metric(server, "mintage_stream_frames_total") - before == 3 + 1


def test_messages_have_bounds_in_size_rate_and_pauses(server: str) -> None:
    with streaming(server) as client:
        client.socket.send(json.dumps({"latent": [0] * 100_000}))
        assert until_closed(client)[1] == 1009
    with streaming(server) as client:
        with suppress(ConnectionClosed):
            for _ in range(20_000):  # of 1,000 a second
                client.socket.send('{"seen": 1}')
        _, code, reason = until_closed(client)
        assert (code, reason) == (1008, "more than 1000 messages a second")
    with streaming(server) as client:
        client.ask(label=0)
        _, code, reason = until_closed(client)
        assert (code, reason) == (1000, f"nothing came for {IDLE_S:g} s")


def test_there_are_only_so_many_streams_and_one_that_ends_makes_room(server: str) -> None:
    while metric(server, "mintage_streams"):  # of the tests before
        time.sleep(0.01)
    with ExitStack() as stack:
        for _ in range(MOST_STREAMS):
            stack.enter_context(streaming(server)).ask(label=0)
        assert metric(server, "mintage_streams") == MOST_STREAMS
        with pytest.raises(InvalidStatus) as refused, streaming(server):
            pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["retry-after"]) >= 1
    while metric(server, "mintage_streams"):
        time.sleep(0.01)
    with streaming(server) as client:
        assert client.ask(label=0).seq == 0


@pytest.mark.parametrize(("path", "origin", "status"), [
    ("/v1/images", None, 404), ("/", None, 404), ("/v1/stream", "https://stranger.example", 403),
    ("/v1/stream", "null", 403),
])  # fmt: skip
def test_handshakes_of_strangers_are_refused(server: str, path: str, origin: str | None, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, streaming(server, path, origin=origin):
        pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["status"] == status


def test_a_refused_handshake_is_no_error_of_the_server(server: str, home: Path) -> None:
    before = metric(server, "mintage_requests_total", route="other", status="404")
    for _ in range(4):
        with pytest.raises(InvalidStatus), streaming(server, "/nothing"):
            pass
    assert metric(server, "mintage_requests_total", route="other", status="404") == before + 4
    assert "ERROR" not in (home / "server.log").read_text()


def test_pages_of_the_server_and_those_that_have_leave_may_stream(server: str) -> None:
    for origin in (server, "https://friend.example"):
        with streaming(server, origin=origin) as client:
            assert client.ask(label=0).seq == 0


def test_by_ordinary_http_the_way_is_told(server: str) -> None:
    reply = httpx.get(f"{server}/v1/stream")
    assert reply.status_code == 426
    assert reply.headers["upgrade"] == "websocket"


@pytest.mark.parametrize("first", ['{"label": 0}', '{"key": "wrong-0123456789012"}', "{", '{"key": 5}'])
def test_with_keys_on_the_first_message_has_one_or_is_the_last(closed_server: str, first: str) -> None:
    with streaming(closed_server) as client:
        client.socket.send(first)
        told, code, _ = until_closed(client)
    assert [one["problem"]["status"] for one in told] == [401]
    assert code == 1008


def test_who_shows_no_key_is_not_waited_for(closed_server: str) -> None:
    with streaming(closed_server) as client:
        assert until_closed(client)[1] == 1000


def test_a_key_opens_in_the_first_message_or_with_the_handshake(closed_server: str) -> None:
    with streaming(closed_server) as client:
        assert client.ask(key=SECOND, label=0, seed=1).seed == 1
    with streaming(closed_server, additional_headers={"x-api-key": SECOND}) as client:
        assert client.ask(label=0, seed=1).seed == 1
    with pytest.raises(InvalidStatus) as refused:
        streaming(closed_server, additional_headers={"x-api-key": "wrong-0123456789012"}).__enter__()
    assert refused.value.response.status_code == 401


def test_frames_are_charged_to_the_key(closed_server: str) -> None:
    with streaming(closed_server) as client:
        for seed in range(4):  # the last overdraws the bucket of three
            client.ask(key=FIRST, label=0, seed=seed)
        told = client.problem(seed=4)
    assert told["problem"]["status"] == 429
    assert told["problem"]["retry_after_s"] > 10


@pytest.mark.parametrize(("before", "changes", "after"), [
    ({"label": 0, "seed": 1}, {"mix": {"0": 1}}, {"mix": {"0": 1}, "seed": 1}),
    ({"label": 0, "seed": 1, "truncation": 1}, {"latent": [0]}, {"label": 0, "latent": [0]}),
    ({"label": 0, "latent": [0]}, {"seed": 5}, {"label": 0, "seed": 5}),
    ({"label": 0, "seed": 1, "truncation": 1}, {"truncation": None}, {"label": 0, "seed": 1}),
    ({"label": 0, "seed": 1}, {"model": "rgb", "label": 1}, {"model": "rgb", "label": 1}),
    ({"label": 0, "model": "rgb"}, {"model": "rgb"}, {"label": 0, "model": "rgb"}),
    ({"label": 0}, {"seed": 1, "latent": [0]}, {"label": 0, "seed": 1, "latent": [0]}),
])  # fmt: skip
def test_what_is_given_ends_what_it_excludes(
    before: dict[str, Any], changes: dict[str, Any], after: dict[str, Any]
) -> None:
    assert changed(before, changes) == after
