"""The interface, in this process: real models, real engine, no socket."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from export.artifact import export_checkpoint
from generator import Generator
from generator.latents import latents
from generator.pixels import contact_sheet, enlarge
from service.app import App
from service.errors import Problem
from service.keys import Keys
from service.models import Models
from service.routes import ROUTES
from service.settings import Settings
from tests.conftest import RGB, untrained
from tests.service.conftest import nothing_behind


async def post(client: httpx.AsyncClient, accept: str = "*/*", **fields: Any) -> httpx.Response:
    return await client.post("/v1/images", json=fields, headers={"accept": accept})


def picture(reply: httpx.Response) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    image = np.asarray(Image.open(io.BytesIO(reply.content)))
    return image[..., None] if image.ndim == 2 else image


def problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = reply.json()
    assert content["status"] == status
    assert {"type", "title", "detail"} <= content.keys()
    return content


def test_a_label_and_a_seed_make_the_generators_image(run: Callable[..., None], grey: Path) -> None:
    expected = Generator.open(grey).images(["Bag"], [7])[0]

    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await post(client, label="Bag", seed=7, scale=3)
        np.testing.assert_array_equal(picture(reply), enlarge(expected, 3))
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["x-seed"] == "7"
        assert reply.headers["x-model"].startswith("grey@")
        assert reply.headers["x-batch-size"] == "1"
        timing = dict(part.strip().split(";dur=") for part in reply.headers["server-timing"].split(","))
        assert timing.keys() == {"queue", "engine", "encode"}
        assert all(float(value) >= 0 for value in timing.values())
        for label in (1, "bag"):
            assert (await post(client, label=label, seed=7, scale=3)).content == reply.content

    run(scenario)


def test_several_images_are_a_contact_sheet_a_list_or_an_array(run: Callable[..., None], rgb: Path) -> None:
    images = Generator.open(rgb).images(["dog"] * 5, range(3, 8))
    request: dict[str, Any] = {"model": "rgb", "label": "dog", "seed": 3, "n": 5}

    async def scenario(client: httpx.AsyncClient) -> None:
        np.testing.assert_array_equal(picture(await post(client, **request)), contact_sheet(images))
        array = await post(client, accept="application/x-npy", **request)
        np.testing.assert_array_equal(np.load(io.BytesIO(array.content)), images)
        reply = (await post(client, accept="application/json", **request)).json()
        assert [entry["seed"] for entry in reply["images"]] == [3, 4, 5, 6, 7]
        assert reply["label"] == "dog"
        last = Image.open(io.BytesIO(base64.b64decode(reply["images"][-1]["b64_png"])))
        np.testing.assert_array_equal(np.asarray(last), images[-1])

    run(scenario)


def test_the_format_field_goes_before_the_accept_header(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for form, media_type in [
            ("webp", "image/webp"),
            ("zip", "application/zip"),
            ("json", "application/json"),
        ]:
            reply = await post(client, accept="image/png", label=0, format=form)
            assert reply.headers["content-type"] == media_type

    run(scenario)


def test_a_latent_is_the_image_of_the_seed_it_comes_from(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        rows = latents([7, 8], 5).tolist()
        by_seed = await post(client, label=2, seed=7, n=2)
        by_latent = await post(client, label=2, latent=rows)
        np.testing.assert_array_equal(picture(by_latent), picture(by_seed))
        assert "x-seed" not in by_latent.headers
        first = picture(await post(client, label=2, latent=rows[0]))
        np.testing.assert_array_equal(first, picture(await post(client, label=2, seed=7)))

    run(scenario)


def test_a_mix_of_one_class_is_the_class_and_the_mix_is_echoed(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        plain = await post(client, label="Bag", seed=7)
        assert (await post(client, mix={"Bag": 12}, seed=7)).content == plain.content
        mixed = await post(client, mix={"Bag": 3, "Ankle boot": 1}, seed=7)
        assert mixed.content != plain.content
        reply = await post(client, accept="application/json", mix={"bag": 3, "2": 1}, seed=7)
        assert reply.json()["mix"] == {"Bag": 0.75, "Ankle boot": 0.25}

    run(scenario)


def test_a_drawn_seed_is_told_and_makes_the_same_image_again(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        drawn = await post(client, label=0)
        again = await post(client, label=0, seed=int(drawn.headers["x-seed"]))
        assert again.content == drawn.content

    run(scenario)


def test_truncation_is_the_generators(run: Callable[..., None], grey: Path) -> None:
    expected = Generator.open(grey).images([0], [7], truncation=0.5)[0]

    async def scenario(client: httpx.AsyncClient) -> None:
        np.testing.assert_array_equal(picture(await post(client, label=0, seed=7, truncation=0.5)), expected)

    run(scenario)


def test_concurrent_requests_share_engine_calls_and_keep_their_bytes(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        requests: list[dict[str, Any]] = [{"label": n % 3, "seed": n} for n in range(60)]
        requests += [{"label": 1, "latent": [0.1 * n] * 5} for n in range(20)]
        requests += [{"label": 0, "seed": n, "truncation": 0.7, "n": n + 1} for n in range(20)]
        alone = [await post(client, **request) for request in requests]
        together = await asyncio.gather(*(post(client, **request) for request in requests))
        assert [reply.content for reply in together] == [reply.content for reply in alone]
        assert max(int(reply.headers["x-batch-size"]) for reply in together) > 8

    run(scenario)


def test_models_tell_what_they_are(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        listed = (await client.get("/v1/models")).json()
        assert listed["object"] == "list"
        assert [(entry["id"], entry["object"]) for entry in listed["data"]] == [
            ("grey", "model"),
            ("rgb", "model"),
        ]
        one = (await client.get("/v1/models/rgb")).json()
        assert one == listed["data"][1]
        assert one["manifest"]["spec"]["class_names"] == ["cat", "dog"]
        assert one["engine"]["key"].startswith("onnxruntime-")
        assert one["warm_batch_sizes"] == [1, 2, 4, 8, 16]
        problem(await client.get("/v1/models/none"), 404)

    run(scenario)


def test_the_default_model_is_the_one_that_is_set(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await post(client, label="dog")).headers["x-model"].startswith("rgb@")

    run(scenario, default_model="rgb")


def test_fashion_is_the_default_where_nothing_else_is_set(run: Callable[..., None], tmp_path: Path) -> None:
    for name in ("emoji", "fashion", "zoo"):
        export_checkpoint(untrained(RGB, name), tmp_path / name)

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await post(client, label="dog")).headers["x-model"].startswith("fashion@")

    run(scenario, models=tmp_path)


def test_health_is_told(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/livez")).status_code == 200
        assert len((await client.get("/readyz")).json()["models"]) == 2

    run(scenario)


def test_before_the_models_are_warm_the_service_is_alive_but_not_ready(models_folder: Path) -> None:
    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        transport = httpx.ASGITransport(App(Models(settings), nothing_behind, frozenset(), Keys(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/livez")).status_code == 200
            problem(await client.get("/readyz"), 503)
            problem(await post(client, label=0), 503)

    asyncio.run(scenario())


def test_the_documentation_describes_every_route_and_needs_no_internet(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        pages = {"/", "/studio/{file}", "/docs", "/docs/{file}", "/openapi.json"}
        assert set(document["paths"]) == set(ROUTES) - pages
        for path, operations in document["paths"].items():
            assert {method.upper() for method in operations} == set(ROUTES[path])
        page = (await client.get("/docs")).text
        assert "//" not in page
        for file in ("swagger-ui.css", "swagger-ui-bundle.js"):
            assert file in page
            assert len((await client.get(f"/docs/{file}")).content) > 10_000
        assert 'href="docs"' in (await client.get("/")).text
        examples = document["paths"]["/v1/images"]["post"]["requestBody"]["content"]["application/json"]
        for example in examples["examples"].values():
            assert (await post(client, **example["value"])).status_code == 200
        for route, path in [
            *((path, path) for path in ("/v1/interpolations", "/v1/variations", "/v1/grids")),
            ("/v1/images/generations", "/v1/images/generations"),
            ("/v2/models/{model}/infer", "/v2/models/grey.by_label/infer"),
        ]:
            body = document["paths"][route]["post"]["requestBody"]["content"]["application/json"]
            for example in body["examples"].values():
                assert (await client.post(path, json=example["value"])).status_code == 200

    run(scenario)


def test_wrong_requests_get_problems_that_say_what_is_allowed(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        label = problem(await post(client, label="Hat"), 422)
        assert label["field"] == "label"
        assert "use 0..2 or one of T-shirt/top" in label["detail"]
        model = problem(await post(client, label=0, model="cats"), 422)
        assert model["field"] == "model"
        assert "grey, rgb" in model["detail"]
        assert "image/png" in problem(await post(client, "text/html", label=0), 406)["detail"]
        assert "GET /docs" in problem(await client.get("/v1/image"), 404)["detail"]
        problem(await client.get("/docs/../../etc/passwd"), 404)
        for path in ("/v1/models/{model}", "/docs/{file}", "/v1/images/{model}/{label}/{file}"):
            problem(await client.get(path), 404)
        wrong_method = await client.get("/v1/images")
        assert "POST" in problem(wrong_method, 405)["detail"]
        assert wrong_method.headers["allow"] == "POST"
        form = await client.post("/v1/images", data={"label": "0"})
        assert "application/json" in problem(form, 415)["detail"]
        problem(
            await client.post("/v1/images", content=b"{", headers={"content-type": "application/json"}), 400
        )

    run(scenario)


def test_limits_are_kept_before_work_is_done(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert problem(await post(client, label=0, n=9), 422)["field"] == "n"
        assert "9,800 pixels: allowed are 10,000" not in (await post(client, label=0, n=2, scale=5)).text
        assert problem(await post(client, label=0, scale=8), 422)["field"] == "scale"
        large = json.dumps({"label": 0, "latent": [[0.123456] * 5] * 80}).encode()
        headers = {"content-type": "application/json"}
        problem(await client.post("/v1/images", content=large, headers=headers), 413)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(large), 100):
                yield large[start : start + 100]

        problem(await client.post("/v1/images", content=chunks(), headers=headers), 413)

    run(scenario, max_images=8, max_pixels=10_000, max_body_bytes=1024)


def test_a_client_that_does_not_send_its_body_is_told(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        async def slow() -> AsyncIterator[bytes]:
            yield b'{"label"'
            await asyncio.sleep(1)
            yield b": 0}"

        reply = await client.post("/v1/images", content=slow(), headers={"content-type": "application/json"})
        problem(reply, 408)

    run(scenario, body_timeout_s=0.1)


def test_a_failure_of_our_own_is_told_without_its_inside(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> bytes:
        raise KeyError("secret")

    monkeypatch.setattr("service.routes.images.encode", fail)

    async def scenario(client: httpx.AsyncClient) -> None:
        assert "secret" not in problem(await post(client, label=0), 500)["detail"]

    run(scenario)
    assert "secret" in caplog.text
    assert Problem("x").status == 500
