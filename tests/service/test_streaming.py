"""Frames leave a real server while others are made: early, at the reader's pace, and not for nobody."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from export.artifact import export_checkpoint
from generator import Generator
from generator.paths import LatentPath
from generator.spec import GeneratorSpec
from tests.conftest import untrained
from tests.service.raw_client import connected
from tests.service.raw_client import post as raw_post
from tests.service.test_server import concurrently, serving

COLOUR = GeneratorSpec(("cat", "dog"), image_size=64, channels=3, latent_dim=8)
KEYFRAMES = [{"label": "cat", "seed": 1}, {"label": "dog", "seed": 2}, {"label": "cat", "seed": 3}]
STREAMED = ("gif", "apng", "npy", "zip")
LONG = 6000


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "colour"
    export_checkpoint(untrained(COLOUR, "colour", width=2), path)
    return path


@pytest.fixture(scope="module")
def server(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server's address, and the process id of its worker."""
    with serving(tmp_path_factory.mktemp("home"), models=artifact) as (url, _):
        yield url, httpx.get(f"{url}/readyz").json()["workers"][0]["pid"]


def film(frames: int, form: str, **fields: Any) -> bytes:
    request = {"keyframes": KEYFRAMES, "frames": frames, "format": form, **fields}
    return raw_post(request, path="/v1/interpolations")


def made(url: str) -> int:
    """Images that the server has made by now."""
    found = re.search(r"^mintage_images_total\{.*\} (.*)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return int(float(found[1])) if found else 0


async def settled(url: str) -> int:
    """The same, when it no longer grows."""
    before, now = -1, made(url)
    while now != before:
        await asyncio.sleep(0.5)
        before, now = now, made(url)
    return now


def test_a_slow_reader_has_the_first_frames_holds_back_the_others_and_ends_them_when_it_leaves(
    server: tuple[str, int],
) -> None:
    url, _ = server

    async def scenario() -> None:
        before = made(url)
        async with connected(url) as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await connection.send(film(LONG, "npy", scale=4))
            begun = await settled(url) - before
            assert 0 < begun < LONG / 2  # what the buffers of sockets take, and no more
            connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert b"x-keyframes: 0," in await connection.head()
            received = 0
            while received < 20 * 2**20:
                received += len(await connection.read(2**20))
            assert made(url) - before > begun  # it goes on when the reader does
        assert await settled(url) - before < LONG

    asyncio.run(scenario())


def test_small_requests_are_answered_while_long_ways_are_made(server: tuple[str, int]) -> None:
    url, _ = server

    async def scenario() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            ways = [
                asyncio.create_task(client.post(f"{url}/v1/interpolations", json=fields))
                for fields in [{"keyframes": KEYFRAMES, "frames": 2000, "format": "npy"}] * 3
            ]
            await asyncio.sleep(0.1)
            singles = await concurrently(url, [{"label": n % 2, "seed": n} for n in range(100)])
            unfinished = [way for way in ways if not way.done()]
            replies = await asyncio.gather(*ways)
        assert {reply.status_code for reply in singles} == {200}
        assert unfinished  # the small ones did not wait for the long ones
        assert len({reply.content for reply in replies}) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("form", STREAMED)
def test_6000_frames_take_hardly_more_memory_than_600(server: tuple[str, int], form: str) -> None:
    url, pid = server
    worker = psutil.Process(pid)

    def largest(frames: int) -> int:
        """The worker's resident memory at most while it sends the frames, bytes."""
        most = 0
        request = {"keyframes": KEYFRAMES, "frames": frames, "format": form, "loop": True}
        with httpx.stream("POST", f"{url}/v1/interpolations", json=request, timeout=60) as reply:
            assert reply.status_code == 200
            for place, _ in enumerate(reply.iter_raw(2**18)):
                if place % 8 == 0:
                    most = max(most, worker.memory_info().rss)
        return most

    short = max(largest(600) for _ in range(2))
    assert largest(LONG) - short <= 5 * 2**20


def test_a_long_film_is_whole_and_right(server: tuple[str, int], artifact: Path) -> None:
    url, _ = server
    generator = Generator.open(artifact)
    vectors = generator.spec.class_vectors(["cat", "dog", "cat"])
    path = LatentPath(generator.latents([1, 2, 3]), vectors, 1000)
    expected = np.concatenate(list(generator.frames_of(path)))
    request = {"keyframes": KEYFRAMES, "frames": 1000}
    replies = {
        form: httpx.post(f"{url}/v1/interpolations", json={**request, "format": form}, timeout=60)
        for form in STREAMED
    }
    np.testing.assert_array_equal(np.load(io.BytesIO(replies["npy"].content)), expected)
    assert int(replies["npy"].headers["content-length"]) == len(replies["npy"].content)
    with zipfile.ZipFile(io.BytesIO(replies["zip"].content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 1000
        last = np.asarray(Image.open(io.BytesIO(archive.read("0999.png"))))
    np.testing.assert_array_equal(last, expected[-1])
    for form in ("gif", "apng"):
        image = Image.open(io.BytesIO(replies[form].content))
        assert image.n_frames == 1000  # type: ignore[attr-defined]
        image.seek(999)
        shown = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(shown - expected[-1]).mean() <= (12 if form == "gif" else 0)


def test_a_deadline_before_the_first_frames_is_told(server: tuple[str, int]) -> None:
    url, _ = server

    async def scenario() -> list[int]:
        async with httpx.AsyncClient(timeout=60) as client:
            busy = [
                client.post(f"{url}/v1/images", json={"label": 0, "n": 1000, "format": "npy"})
                for _ in range(2)
            ]
            tasks = [asyncio.create_task(one) for one in busy]
            await asyncio.sleep(0.05)
            fields = {"keyframes": KEYFRAMES, "frames": 100, "format": "gif", "timeout_ms": 1}
            late = await client.post(f"{url}/v1/interpolations", json=fields)
            await asyncio.gather(*tasks)
        return [late.status_code]

    assert asyncio.run(scenario())[0] in (429, 504)
