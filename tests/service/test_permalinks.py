"""Links to single images, in this process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from generator.artifact import Artifact
from generator.latents import latents
from service.http import Disconnected, cancelled_on_disconnect
from tests.service.test_http import picture, post, problem

Run = Callable[..., None]


@pytest.fixture
def pinned(grey: Path) -> str:
    return f"/v1/images/{Artifact.open(grey).manifest.id}"


def test_a_pinned_link_is_the_image_that_the_request_makes(run: Run, pinned: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for link, fields in [
            ("bag/7.png", {"label": "Bag", "seed": 7}),
            ("1/7.png?scale=4&truncation=0.5", {"label": 1, "seed": 7, "scale": 4, "truncation": 0.5}),
            ("ankle-boot/0.webp", {"label": 2, "seed": 0, "format": "webp"}),
            ("bag/7.jpg?quality=30", {"label": 1, "seed": 7, "format": "jpeg", "quality": 30}),
            ("mix/7.png?mix=bag:3,ankle-boot:1", {"mix": {"bag": 3, "ankle-boot": 1}, "seed": 7}),
        ]:
            reply = await client.get(f"{pinned}/{link}")
            assert reply.status_code == 200, reply.text
            assert reply.content == (await post(client, **fields)).content  # type: ignore[arg-type]
            assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert reply.headers["x-model"] == pinned.rsplit("/", 1)[1]

    run(scenario)


def test_a_link_may_hold_a_latent(run: Run, pinned: str) -> None:
    (latent,) = latents([7], 5)
    text = base64.urlsafe_b64encode(latent.astype("<f4").tobytes()).decode().rstrip("=")

    async def scenario(client: httpx.AsyncClient) -> None:
        by_latent = picture(await client.get(f"{pinned}/bag/latent.png?latent={text}"))
        np.testing.assert_array_equal(by_latent, picture(await client.get(f"{pinned}/bag/7.png")))

    run(scenario)


def test_a_client_that_has_the_image_is_told_so_without_making_it(run: Run, pinned: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        tag = (await client.get(f"{pinned}/bag/7.png")).headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            reply = await client.get(f"{pinned}/bag/7.png", headers={"if-none-match": known})
            assert (reply.status_code, reply.content) == (304, b"")
            assert reply.headers["etag"] == tag
            assert "server-timing" not in reply.headers
        assert (await client.get(f"{pinned}/bag/7.png", headers={"if-none-match": '"x"'})).status_code == 200

    run(scenario)


def test_each_image_has_a_tag_of_its_own(run: Run, pinned: str) -> None:
    links = ["bag/7.png", "bag/8.png", "0/7.png", "bag/7.webp", "bag/7.png?scale=2", "bag/7.png?truncation=1"]

    async def scenario(client: httpx.AsyncClient) -> None:
        tags = [(await client.get(f"{pinned}/{link}")).headers["etag"] for link in links]
        assert len(set(tags)) == len(links)
        assert (await client.get(f"{pinned}/1/7.png")).headers["etag"] == tags[0]

    run(scenario)


def test_a_link_without_a_version_is_the_current_one_and_asked_for_again(run: Run, pinned: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await client.get("/v1/images/grey/bag/7.png")
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["etag"] == (await client.get(f"{pinned}/bag/7.png")).headers["etag"]

    run(scenario)


def test_a_version_that_is_gone_says_so(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (
            "no longer served"
            in problem(await client.get("/v1/images/grey@000000000000/0/7.png"), 410)["detail"]
        )

    run(scenario)


@pytest.mark.parametrize(
    ("link", "status", "message"),
    [
        ("none/bag/7.png", 404, "model 'none'"),
        ("grey/hat/7.png", 404, "use 0..2 or one of t-shirt-top, bag"),
        ("grey/Bag/7.png", 404, "'Bag' is not a class"),
        ("grey/9/7.png", 404, "'9' is not a class"),
        ("grey/bag/7.gif", 404, "ends with .png, .webp, .jpg"),
        (f"grey/bag/{'9' * 5000}.png", 404, "is no seed"),
        (f"grey/{'9' * 5000}/7.png", 404, "is not a class"),
        ("grey/bag/seven.png", 404, "'seven' is no seed"),
        ("grey/bag/4294967296.png", 422, "seed 4294967296: allowed is whole numbers from 0"),
        ("grey/bag/7.png?scale=0", 422, "scale '0': allowed is whole numbers from 1 to 64"),
        ("grey/bag/7.png?scale=big", 422, "scale"),
        ("grey/bag/7.png?truncation=nan", 422, "truncation"),
        ("grey/bag/7.png?truncation=null", 422, "truncation is null: leave it out"),
        ("grey/bag/7.png?scale=2&scale=3", 422, "scale is given twice: leave one out"),
        ("grey/bag/7.png?color=red", 422, "unknown parameter 'color'"),
        ("grey/bag/7.png?quality=5", 422, "quality is for jpeg and webp"),
        ("grey/bag/7.png?mix=bag:1", 422, "the word mix for its class"),
        ("grey/mix/7.png?mix=bag", 422, "use slug:weight"),
        ("grey/mix/7.png?mix=hat:1", 422, "'hat'"),
        ("grey/bag/7.png?latent=AAAA", 422, "the word latent for its seed"),
        ("grey/bag/latent.png?latent=AAAA", 422, "latent"),
        ("grey/bag/latent.png?latent=!", 422, "latent"),
    ],
)
def test_a_wrong_link_says_what_is_wrong(run: Run, link: str, status: int, message: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert message in problem(await client.get(f"/v1/images/{link}"), status)["detail"]

    run(scenario)


def test_the_text_of_a_png_makes_the_same_image_again(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        first = await post(client, label=1, seed=3, n=4, truncation=0.7)
        told = json.loads(Image.open(io.BytesIO(first.content)).info["mintage"])
        assert told.pop("model") == first.headers["x-model"]
        assert (await post(client, **told)).content == first.content

    run(scenario)


def test_a_client_that_goes_away_takes_its_work_with_it() -> None:
    async def scenario() -> None:
        leaves = asyncio.Event()

        async def receive() -> dict[str, str]:
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def request() -> None:
            with cancelled_on_disconnect(receive):
                await asyncio.sleep(60)

        task = asyncio.create_task(request())
        await asyncio.sleep(0.01)
        leaves.set()
        with pytest.raises(Disconnected):
            await asyncio.wait_for(task, 5)

    asyncio.run(scenario())
