"""Ways through keyframes, in this process: what each form shows, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from generator import Generator
from generator.engines import Engine, EngineError
from generator.latents import Latents, latents
from generator.paths import LatentPath
from generator.pixels import Pixels, contact_sheet, enlarge
from service.app import App
from service.keys import Keys
from service.models import Models
from service.settings import Settings
from tests.service.conftest import nothing_behind
from tests.service.test_http import post, problem

Run = Callable[..., None]

KEYFRAMES: list[dict[str, Any]] = [
    {"label": "Bag", "seed": 7},
    {"mix": {"Bag": 1, "Ankle boot": 3}, "seed": 8, "truncation": 0.7},
    {"label": 2, "latent": [0.5, -1, 2, 0, 1e-3]},
    {"label": 0, "seed": 9, "directions": {"0": 2.5, "3": -1}},
]
LOSSLESS = ("png", "gif", "webp", "apng", "npy", "zip", "json")


async def film(client: httpx.AsyncClient, accept: str = "*/*", **fields: Any) -> httpx.Response:
    request = {"keyframes": KEYFRAMES, "frames": 21, **fields}
    return await client.post("/v1/interpolations", json=request, headers={"accept": accept})


def with_channels(image: Image.Image, channels: int) -> Pixels:
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def frames_of(reply: httpx.Response, form: str, count: int, channels: int = 1) -> Pixels:
    """What another decoder than ours finds in a reply, uint8 [N, H, W, C]."""
    assert reply.status_code == 200, reply.text
    content = reply.content
    if form == "npy":
        array: Pixels = np.load(io.BytesIO(content), allow_pickle=False)
        return array
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            files = [archive.read(name) for name in archive.namelist()]
            assert archive.namelist() == [f"{place:04d}.png" for place in range(len(files))]
        return np.stack([with_channels(Image.open(io.BytesIO(file)), channels) for file in files])
    if form == "json":
        files = [base64.b64decode(entry["b64_png"]) for entry in reply.json()["frames"]]
        return np.stack([with_channels(Image.open(io.BytesIO(file)), channels) for file in files])
    image = Image.open(io.BytesIO(content))
    if form == "png":
        strip = with_channels(image, channels)
        return np.stack(np.split(strip, count, axis=1))
    return np.stack([with_channels(frame, channels) for frame in ImageSequence.Iterator(image)])


def array_of(reply: httpx.Response) -> Pixels:
    return frames_of(reply, "npy", 1)


@pytest.mark.parametrize("form", LOSSLESS)
@pytest.mark.parametrize("loop", [False, True])
def test_keyframes_are_the_images_that_single_requests_make(run: Run, form: str, loop: bool) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await film(client, format=form, loop=loop, scale=2)
        shown = frames_of(reply, form, 21)
        assert len(shown) == 21
        places = [int(place) for place in reply.headers["x-keyframes"].split(",")]
        if form == "json":
            assert reply.json()["keyframes"] == places
        for place, keyframe in zip(places, KEYFRAMES, strict=True):
            alone = await post(client, **keyframe, scale=2, format="npy")
            np.testing.assert_array_equal(shown[place], array_of(alone)[0])
        assert len(np.unique(shown.reshape(21, -1), axis=0)) == 21  # the first is not repeated at the end

    run(scenario)


@pytest.mark.parametrize("form", [form for form in LOSSLESS if form != "gif"])
def test_frames_of_colour_keep_their_pixels(run: Run, rgb: Path, form: str) -> None:
    generator = Generator.open(rgb)
    path = LatentPath(generator.latents([7, 8]), generator.spec.class_vectors(["cat", "dog"]), 9)
    expected = np.concatenate(list(generator.frames_of(path)))

    async def scenario(client: httpx.AsyncClient) -> None:
        keyframes = [{"label": "cat", "seed": 7}, {"label": "dog", "seed": 8}]
        reply = await film(client, keyframes=keyframes, frames=9, format=form, model="rgb")
        np.testing.assert_array_equal(frames_of(reply, form, 9, channels=3), expected)

    run(scenario)


def test_a_gif_of_colour_is_near_to_its_pixels(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        keyframes = [{"label": "cat", "seed": 7}, {"label": "dog", "seed": 8}]
        fields: dict[str, Any] = {"keyframes": keyframes, "frames": 9, "model": "rgb", "scale": 3}
        shown = frames_of(await film(client, **fields, format="gif"), "gif", 9, channels=3)
        exact = array_of(await film(client, **fields, format="npy"))
        assert shown.shape == exact.shape
        assert np.abs(shown.astype(int) - exact).mean() < 4  # of 255

    run(scenario)


@pytest.mark.parametrize("method", ["slerp", "lerp", "nlerp"])
@pytest.mark.parametrize("easing", ["linear", "ease-in-out"])
def test_frames_are_those_of_the_generators_path(run: Run, grey: Path, method: Any, easing: Any) -> None:
    generator = Generator.open(grey)
    expected = generator.interpolate(["Bag", "Bag", 2], [7, 8, 9], 40, method, True, easing)

    async def scenario(client: httpx.AsyncClient) -> None:
        keyframes = [{"label": "Bag", "seed": 7}, {"label": "Bag", "seed": 8}, {"label": 2, "seed": 9}]
        how = {"method": method, "easing": easing, "loop": True, "frames": 40, "format": "npy"}
        made = array_of(await film(client, keyframes=keyframes, **how))
        np.testing.assert_array_equal(made, expected)

    run(scenario)


def test_a_keyframe_in_a_zip_is_the_very_png_of_a_single_request(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await film(client, format="zip")
        with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
            files = [archive.read(name) for name in archive.namelist()]
        places = [int(place) for place in reply.headers["x-keyframes"].split(",")]
        for place, keyframe in zip(places, KEYFRAMES, strict=True):
            assert files[place] == (await post(client, **keyframe)).content
        between = json.loads(Image.open(io.BytesIO(files[places[1] + 1])).info["mintage"])
        row = np.frombuffer(base64.urlsafe_b64decode(between["latent"] + "=="), "<f4").tolist()
        again = array_of(await post(client, latent=row, mix=between["mix"], format="npy"))
        shown = frames_of(reply, "zip", 21)[places[1] + 1]
        assert (np.abs(shown.astype(int) - again[0]) <= 1).all()  # weights are normalised again

    run(scenario)


def test_the_accept_header_chooses_and_a_strip_is_the_first_choice(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for accept, media_type in [
            ("*/*", "image/png"),
            ("image/gif", "image/gif"),
            ("image/apng, image/webp;q=0.5", "image/apng"),
            ("application/x-npy", "application/x-npy"),
        ]:
            reply = await film(client, accept)
            assert reply.headers["content-type"] == media_type
            assert {"x-model", "x-batch-size", "server-timing", "x-keyframes"} <= set(reply.headers)
        assert "image/gif" in problem(await film(client, "image/jpeg"), 406)["detail"]
        strip = frames_of(await film(client), "png", 21)
        exact = array_of(await film(client, format="npy"))
        np.testing.assert_array_equal(contact_sheet(strip, 21), contact_sheet(exact, 21))

    run(scenario)


@pytest.mark.parametrize("fps", [7, 24, 30, 50])
def test_an_animation_lasts_as_long_as_its_frames(run: Run, fps: int) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for form in ("gif", "webp", "apng"):
            image = Image.open(io.BytesIO((await film(client, format=form, fps=fps)).content))
            durations = []
            for frame in ImageSequence.Iterator(image):
                frame.load()
                durations.append(float(frame.info["duration"]))
            assert abs(sum(durations) - 21_000 / fps) <= 10, form  # milliseconds
            assert min(durations) >= 10

    run(scenario)


def test_a_loop_is_shown_for_ever_and_a_way_once(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for form, once in (("gif", None), ("webp", 1), ("apng", 1)):
            for loop, expected in ((True, 0), (False, once)):
                image = Image.open(io.BytesIO((await film(client, format=form, loop=loop)).content))
                assert image.info.get("loop") == expected, form

    run(scenario)


def test_a_film_tells_what_made_it(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for form in ("png", "apng"):
            image = Image.open(io.BytesIO((await film(client, format=form)).content))
            told = json.loads(image.info["mintage"])
            assert told["model"].startswith("grey@")
            assert (told["frames"], told["method"]) == (21, "slerp")
            assert told["keyframes"][0] == {"label": "Bag", "seed": 7}
            assert told["keyframes"][3]["directions"] == {"0": 2.5, "3": -1}
        comment = Image.open(io.BytesIO((await film(client, format="gif")).content)).info["comment"]
        assert json.loads(comment)["keyframes"] == told["keyframes"]

    run(scenario)


def test_truncation_and_directions_are_of_all_keyframes_that_state_none(run: Run, grey: Path) -> None:
    generator = Generator.open(grey)

    async def scenario(client: httpx.AsyncClient) -> None:
        keyframes = [
            {"label": 0, "seed": 1},
            {"label": 0, "seed": 2, "truncation": 1.5, "directions": {"1": 1}},
            {"label": 0, "latent": latents([3], 5)[0].tolist()},
        ]
        fields: dict[str, Any] = {"keyframes": keyframes, "frames": 3, "truncation": 0.5}
        fields["directions"] = {"0": 2}
        made = array_of(await film(client, **fields, format="npy"))
        latent = np.concatenate(
            [
                generator.latents([1], 0.5, {0: 2}),
                generator.latents([2], 1.5, {1: 1}),
                generator.latents([3], None, {0: 2}),
            ]
        )
        vectors = generator.spec.class_vectors([0, 0, 0])
        np.testing.assert_array_equal(made, generator.images_from(latent, vectors))

    run(scenario)


def test_wrong_requests_are_told_what_is_allowed(run: Run) -> None:
    two = KEYFRAMES[:2]
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"keyframes": KEYFRAMES[:1]}, "keyframes", "2 to 64 objects"),
        ({"keyframes": KEYFRAMES * 17}, "keyframes", "2 to 64 objects"),
        ({"keyframes": None}, "keyframes", "2 to 64 objects"),
        ({"keyframes": [1, 2]}, "keyframes", "2 to 64 objects"),
        ({"keyframes": [{"label": 0}, *two]}, "keyframes[0].seed", "give either seed or latent"),
        ({"keyframes": [*two, {"seed": 1}]}, "keyframes[2].label", "give either label"),
        ({"keyframes": [*two, {"label": "Hat", "seed": 1}]}, "keyframes[2].label", "'Hat' is not a class"),
        ({"keyframes": [*two, {"label": 0, "seed": -1}]}, "keyframes[2].seed", "whole numbers from 0"),
        ({"keyframes": [*two, {"label": 0, "n": 1}]}, "keyframes[2].n", "unknown field"),
        ({"keyframes": [*two, {"label": 0, "latent": [1]}]}, "keyframes[2].latent", "1 components"),
        (
            {"keyframes": [*two, {"label": 0, "seed": 1, "directions": {"9": 1}}]},
            "keyframes[2].directions",
            "0..4",
        ),
        ({"keyframes": two, "directions": {"9": 1}}, "directions", "there are 0..4"),
        ({"frames": 3}, "frames", "3 frames for 4 keyframes"),
        ({"frames": 1}, "frames", "whole numbers from 2"),
        ({"frames": 101}, "frames", "allowed are 2 to 50; gif, apng, npy, zip have up to 100"),
        ({"frames": 101, "format": "gif"}, "frames", "allowed are 2 to 100"),
        ({"method": "spline"}, "method", "slerp, lerp, nlerp"),
        ({"easing": "bounce"}, "easing", "linear, ease-in-out"),
        ({"fps": 0}, "fps", "1 to 60"),
        ({"fps": 60, "format": "gif"}, "fps", "up to 50 frames a second"),
        ({"quality": 50, "format": "gif"}, "quality", "quality is for webp"),
        ({"loop": 1}, "loop", "true or false"),
        ({"scale": 10}, "scale", "21 frames as png at scale 10: 411,600 pixels, allowed are 100,000"),
        ({"scale": 60, "format": "gif"}, "scale", "a frame at scale 60: 705,600 pixels"),
        ({"scale": 20, "format": "gif"}, "scale", "21 frames as gif at scale 20: 1,646,400 pixels"),
        ({"format": "jpeg"}, "format", "png, gif, webp, apng"),
        ({"speed": 1}, "speed", "unknown field 'speed': allowed are keyframes, frames"),
        ({"model": "none"}, "model", "grey, rgb"),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for fields, field, message in wrong:
            refused = problem(await film(client, **fields), 422)
            assert refused["field"] == field, fields
            assert message in refused["detail"], fields
        missing = problem(await client.post("/v1/interpolations", json={}), 422)
        assert (missing["field"], "is missing" in missing["detail"]) == ("keyframes", True)
        headers = {"content-type": "application/json"}
        problem(await client.post("/v1/interpolations", content=b"{", headers=headers), 400)
        not_all = b'{"keyframes": [{"seed": 1}, {"seed": "x"}]}'
        refused = problem(await client.post("/v1/interpolations", content=not_all, headers=headers), 422)
        assert refused["field"] == "keyframes[1].seed"
        large = b'{"keyframes": [{"seed": 1, "latent": [1e999]}, {"seed": 1}]}'
        refused = problem(await client.post("/v1/interpolations", content=large, headers=headers), 422)
        assert "number out of range" in refused["detail"]
        twice = b'{"keyframes": [{"seed": 1}, {"seed": "x"}], "keyframes": 5}'
        problem(await client.post("/v1/interpolations", content=twice, headers=headers), 422)

    limits = {"max_frames": 100, "max_buffered_frames": 50, "max_pixels": 100_000}
    run(scenario, **limits, max_stream_pixels=1_000_000)


def test_frames_are_charged_to_the_key_at_once(run: Run) -> None:
    key = "k" * 16

    async def scenario(client: httpx.AsyncClient) -> None:
        client.headers["x-api-key"] = key
        assert (await film(client, format="gif", frames=60)).status_code == 200
        problem(await film(client, format="gif"), 429)

    run(scenario, api_keys=(key,), rate_images_per_s=0.001, rate_burst_images=50)


def test_a_lone_scale_enlarges_each_frame(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        small = array_of(await film(client, format="npy"))
        for form in ("gif", "apng", "zip", "webp", "png"):
            large = frames_of(await film(client, format=form, scale=3), form, 21)
            np.testing.assert_array_equal(large, enlarge(small, 3))

    run(scenario)


class Counting:
    """An engine that counts the images it makes."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.made = engine, 0

    def generate(self, latent: Latents, class_vector: Latents) -> Pixels:
        self.made += len(latent)
        return self.engine.generate(latent, class_vector)


class Reader:
    """One request and its reply, of which the reader takes a message when it is told to."""

    def __init__(self, form: str) -> None:
        self.body = json.dumps({"keyframes": KEYFRAMES, "frames": 200, "format": form}).encode()
        self.messages: list[MutableMapping[str, Any]] = []
        self.may_read, self.is_gone = asyncio.Event(), asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        if self.body:
            body, self.body = self.body, b""
            return {"type": "http.request", "body": body}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)
        if len(self.messages) > 1:  # the second is the first of the body
            await self.may_read.wait()

    async def has_begun(self) -> None:
        while len(self.messages) < 2:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # in which nothing happens


@pytest.mark.parametrize("form", ["gif", "apng", "npy", "zip"])
@pytest.mark.parametrize("hangs_up", [False, True])
def test_frames_leave_before_others_are_made_which_wait_for_the_reader(
    models_folder: Path, form: str, hangs_up: bool
) -> None:
    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        models = Models(settings)
        models.start()
        engine = models.find("grey").engine = Counting(models.find("grey").engine)  # type: ignore[assignment]
        app, reader = App(models, nothing_behind, frozenset(), Keys(settings)), Reader(form)
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/interpolations", "headers": headers}
        reply = asyncio.create_task(app(scope, reader.receive, reader.send))
        await reader.has_begun()
        assert reader.messages[0]["status"] == 200
        assert reader.messages[1]["body"]
        assert engine.made == 16  # a batch, of 200
        if hangs_up:
            reader.is_gone.set()
            await reply
            assert engine.made == 16
            assert reader.messages[-1].get("more_body")  # nobody is told that this was all
        else:
            reader.may_read.set()
            await reply
            assert engine.made == 200
            assert len(reader.messages) == 1 + 13 + 1
            assert not reader.messages[-1].get("more_body")
        await models.close()

    asyncio.run(scenario())


def test_a_failure_on_the_way_ends_the_reply_before_its_end(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        models = Models(settings)
        models.start()
        app, reader = App(models, nothing_behind, frozenset(), Keys(settings)), Reader("gif")
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/interpolations", "headers": headers}
        reply = asyncio.create_task(app(scope, reader.receive, reader.send))
        await reader.has_begun()

        def fail(*inputs: Latents) -> Pixels:
            raise EngineError("the GPU fell out")

        monkeypatch.setattr(models.find("grey").engine, "generate", fail)
        reader.may_read.set()
        await reply
        assert reader.messages[-1].get("more_body")
        await models.close()

    asyncio.run(scenario())
    assert "ended after 16 of 200 frames" in caplog.text
    assert "the GPU fell out" in caplog.text
