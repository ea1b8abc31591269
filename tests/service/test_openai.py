"""OpenAI's images request, in this process."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from generator import Generator
from generator.artifact import Artifact
from generator.pixels import enlarge
from generator.spec import GeneratorSpec
from service.app import App
from service.errors import InvalidField
from service.keys import Keys
from service.models import Models
from service.openai_requests import class_of, scale_of
from service.settings import Settings
from tests.conftest import GREY
from tests.service.conftest import nothing_behind

Run = Callable[..., None]


async def generate(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/images/generations", json=fields)


def data(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    entries: list[dict[str, Any]] = reply.json()["data"]
    return entries


def error(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    (content,) = reply.json().values()
    assert content.keys() == {"message", "type", "param", "code"}
    told: dict[str, Any] = content
    return told


def test_a_prompt_that_names_a_class_makes_its_images(run: Run, grey: Path) -> None:
    expected = Generator.open(grey).images(["Bag"] * 3, [2**32 - 1, 0, 1])

    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await generate(client, prompt="Bag", n=3, size="28x28", seed=2**32 - 1)
        entries = data(reply)
        assert [entry["seed"] for entry in entries] == [2**32 - 1, 0, 1]
        for entry, image in zip(entries, expected, strict=True):
            picture = Image.open(io.BytesIO(base64.b64decode(entry["b64_json"])))
            np.testing.assert_array_equal(np.asarray(picture)[..., None], enlarge(image, 2))
            assert entry["revised_prompt"] == "Bag"
        told = reply.json()
        assert (told["size"], told["output_format"]) == ("28x28", "png")
        assert told["created"] > 1_700_000_000

    run(scenario)


def test_a_link_has_the_bytes_that_the_reply_would_have_had(run: Run, grey: Path) -> None:
    pinned = Artifact.open(grey).manifest.id
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "7.png"),
        ({"size": "auto", "output_format": "webp"}, "7.webp"),
        ({"size": "42x42"}, "7.png?scale=3"),
        ({"output_format": "jpeg", "output_compression": 0}, "7.jpg?quality=1"),
        ({"output_format": "webp", "output_compression": 50, "size": "28x28"}, "7.webp?scale=2&quality=50"),
        ({"truncation": 0.1}, "7.png?truncation=0.1"),
        ({"truncation": 1}, "7.png?truncation=1.0"),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for fields, link in cases:
            request = {"prompt": "ankle boot", "seed": 7, **fields}
            (entry,) = data(await generate(client, response_format="url", **request))
            assert entry["url"] == f"http://test/v1/images/{pinned}/ankle-boot/{link}"
            assert "b64_json" not in entry
            fetched = await client.get(entry["url"])
            (whole,) = data(await generate(client, response_format="b64_json", **request))
            assert base64.b64decode(whole["b64_json"]) == fetched.content

    run(scenario)


def test_links_are_of_the_address_that_the_client_used_if_it_is_one(run: Run) -> None:
    request = {"prompt": "0", "response_format": "url"}

    async def scenario(client: httpx.AsyncClient) -> None:
        for host in ("images.example.org", "localhost:3000", "[::1]:80", "a_b"):
            reply = await client.post("/v1/images/generations", json=request, headers={"host": host})
            assert data(reply)[0]["url"].startswith(f"http://{host}/v1/images/grey@")
        for host in ("", "a b", "user@host", "evil/path?", 'x"><script>', "a:b"):
            reply = await client.post("/v1/images/generations", json=request, headers={"host": host})
            assert "makes no link" in error(reply, 400)["message"]

    run(scenario)


def test_without_a_seed_one_is_drawn_and_told(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        (drawn,) = data(await generate(client, prompt="Bag"))
        assert data(await generate(client, prompt="Bag", seed=drawn["seed"])) == [drawn]

    run(scenario)


def test_fields_that_change_nothing_here_are_accepted(run: Run) -> None:
    harmless = {
        **{"quality": "hd", "style": "vivid", "moderation": "low", "user": "u", "safety_identifier": "s"},
        **{"background": "opaque", "stream": False, "partial_images": 0, "complexity": "high"},
        **dict.fromkeys(("model", "n", "size", "response_format", "output_format", "output_compression")),
        **dict.fromkeys(("frame_count", "frame_duration_ms", "svg", "truncation")),
    }

    async def scenario(client: httpx.AsyncClient) -> None:
        plain = data(await generate(client, prompt="Bag", seed=7))
        assert data(await generate(client, prompt="Bag", seed=7, **harmless)) == plain

    run(scenario)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({}, "prompt", "prompt is missing: it is the name of a class"),
    ({"prompt": 1}, "prompt", "prompt 1: allowed is the name of a class (a string)"),
    ({"prompt": None}, "prompt", "allowed is the name of a class"),
    ({"prompt": "a bag"}, "prompt", "is not a class: images here are of a class, not of a text. Say one of "),
    ({"prompt": "3"}, "prompt", "T-shirt/top, Bag, Ankle boot; or an index, 0..2"),
    ({"prompt": ""}, "prompt", "prompt '' is not a class"),
    ({"prompt": "x" * 32_000}, "prompt", "x...x"),
    ({"prompt": "0", "n": 0}, "n", "n 0: allowed is whole numbers from 1 to 10"),
    ({"prompt": "0", "n": 11}, "n", "POST /v1/images makes more"),
    ({"prompt": "0", "size": "256x256"}, "size", "such as 252x252 and 266x266"),
    ({"prompt": "0", "size": "10x10"}, "size", "such as 14x14"),
    ({"prompt": "0", "size": "1024x768"}, "size", "such as 14x14 and 112x112"),
    ({"prompt": "0", "size": "999999x999999"}, "size", "such as 896x896"),
    ({"prompt": "0", "size": "large"}, "size", "size 'large': allowed are auto and 14x14"),
    ({"prompt": "0", "size": "0x0"}, "size", "size '0x0'"),
    ({"prompt": "0", "size": 256}, "size", "size 256: allowed is auto"),
    ({"prompt": "0", "size": "9" * 5000 + "x1"}, "size", "allowed are auto"),
    ({"prompt": "0", "response_format": "png"}, "response_format", "allowed is url or b64_json"),
    ({"prompt": "0", "output_format": "gif"}, "output_format", "allowed is png, jpeg or webp"),
    ({"prompt": "0", "output_compression": 50}, "output_compression", "for output_format jpeg and webp"),
    ({"prompt": "0", "output_format": "jpeg", "output_compression": 101}, "output_compression", "0 to 100"),
    ({"prompt": "0", "seed": -1}, "seed", "allowed is whole numbers from 0 to 4294967295"),
    ({"prompt": "0", "truncation": 0}, "truncation", "allowed is numbers above 0"),
    ({"prompt": "0", "background": "transparent"}, "background", "no transparency"),
    ({"prompt": "0", "stream": True}, "stream", "all at once"),
    ({"prompt": "0", "partial_images": 2}, "partial_images", "all at once"),
    ({"prompt": "0", "svg": {"model": "x"}}, "svg", "no vector images"),
    ({"prompt": "0", "frame_count": 4}, "frame_count", "no animations"),
    ({"prompt": "0", "colour": "red"}, "colour", "unknown field 'colour': allowed are prompt, model"),
]


def test_wrong_requests_get_openais_error_that_names_the_parameter(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for fields, param, message in WRONG:
            told = error(await generate(client, **fields), 400)
            assert (told["type"], told["param"]) == ("invalid_request_error", param)
            assert message in told["message"]
            assert len(told["message"]) < 400
        unknown = error(await generate(client, prompt="0", model="dall-e-3"), 404)
        assert (unknown["param"], unknown["code"]) == ("model", "model_not_found")
        reply = await client.get("/v1/images/generations")
        assert "POST" in error(reply, 405)["message"]
        assert reply.headers["allow"] == "POST"
        for status, body, kind in [
            (400, b"{", "application/json"),
            (400, b"[" * 50_000, "application/json"),
            (400, b"[]", "application/json"),
            (413, b" " * 200_000, "application/json"),
            (415, b"prompt=0", "application/x-www-form-urlencoded"),
        ]:
            reply = await client.post("/v1/images/generations", content=body, headers={"content-type": kind})
            assert error(reply, status)["type"] == "invalid_request_error"

    run(scenario, max_body_bytes=100_000)


def test_limits_on_pixels_are_kept(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        told = error(await generate(client, prompt="0", n=10, size="112x112"), 400)
        assert "125,440 pixels: allowed are 100,000" in told["message"]
        assert len(data(await generate(client, prompt="0", n=7, size="112x112"))) == 7

    run(scenario, max_pixels=100_000)


def test_a_failure_of_our_own_is_openais_server_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bytes:
        raise KeyError("secret")

    monkeypatch.setattr("service.routes.openai.encode", fail)

    async def scenario(client: httpx.AsyncClient) -> None:
        told = error(await generate(client, prompt="0"), 500)
        assert told["type"] == "server_error"
        assert "secret" not in told["message"]

    run(scenario)


def test_before_the_models_are_warm_it_is_unavailable(models_folder: Path) -> None:
    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        app = App(Models(settings), nothing_behind, frozenset(), Keys(settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert error(await generate(client, prompt="0"), 503)["type"] == "server_error"

    asyncio.run(scenario())


def test_a_prompt_is_a_name_a_slug_or_an_index_in_any_case() -> None:
    for prompt in ("Ankle boot", "  ankle BOOT\n", "ankle-boot", "ANKLE-BOOT", "2"):
        assert class_of(prompt, GREY) == 2
    digits = GeneratorSpec(("9", "8", "STRASSE", "bag", "Bag"), image_size=14, channels=1, latent_dim=4)
    assert class_of("9", digits) == 0  # a name goes before an index
    assert class_of("0", digits) == 0
    assert class_of("straße", digits) == 2
    assert [class_of(name, digits) for name in ("bag", "Bag")] == [3, 4]
    with pytest.raises(InvalidField, match="is several classes"):
        class_of("BAG", digits)


def test_a_size_is_a_whole_multiple_of_the_models_own() -> None:
    assert [scale_of(size, 28) for size in (None, "auto", "28x28", "224x224", "1792x1792")] == [
        1,
        1,
        1,
        8,
        64,
    ]
