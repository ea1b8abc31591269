"""Variations, grids and directions, in this process."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from generator import Generator
from generator.latents import latents
from generator.pixels import Pixels, contact_sheet, enlarge
from tests.service.test_http import picture, post, problem

Run = Callable[..., None]


async def variations(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/variations", json=fields)


async def grid(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/grids", json=fields)


def array_of(reply: httpx.Response) -> Pixels:
    assert reply.status_code == 200, reply.text
    array: Pixels = np.load(io.BytesIO(reply.content), allow_pickle=False)
    return array


def latent_of(text: str) -> list[float]:
    numbers: list[float] = np.frombuffer(base64.urlsafe_b64decode(text + "=="), "<f4").tolist()
    return numbers


SUBJECTS: list[dict[str, Any]] = [
    {"label": "Bag", "seed": 7},
    {"mix": {"Bag": 1, "2": 1}, "seed": 7, "truncation": 0.6},
    {"label": 2, "latent": [0.5, -1, 2, 0, 1e-3]},
    {"label": 0, "seed": 9, "directions": {"0": 2.5}},
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_variations_are_the_image_at_strength_0_and_move_away_with_it(
    run: Run, subject: dict[str, Any]
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        itself = array_of(await post(client, **subject, format="npy"))
        still = array_of(await variations(client, **subject, strength=0, n=5, format="npy"))
        np.testing.assert_array_equal(still, np.concatenate([itself] * 5))
        away = []
        for strength in (0.02, 1):
            reply = await variations(client, **subject, strength=strength, n=12, format="npy")
            away.append(np.abs(array_of(reply).astype(int) - itself).mean())
            assert reply.headers.get("x-seed") == (str(subject["seed"]) if "seed" in subject else None)
        assert 0 < away[0] < away[1]

    run(scenario)


def test_variations_are_the_generators_and_unrelated_at_strength_1(run: Run, grey: Path) -> None:
    generator = Generator.open(grey)

    async def scenario(client: httpx.AsyncClient) -> None:
        for strength in (0.2, 1.0):
            made = array_of(
                await variations(
                    client, label=1, seed=7, strength=strength, n=4, variation_seed=2**32 - 2, format="npy"
                )
            )
            expected = generator.variations(1, 7, strength, 4, variation_seed=2**32 - 2)
            np.testing.assert_array_equal(made, expected)
        # At strength 1 nothing is left of the image but the norm of its latent.
        norm = np.linalg.norm(latents([7], 5))
        others = latents([2**32 - 2, 2**32 - 1, 0, 1], 5)
        directions = others / np.linalg.norm(others, axis=1, keepdims=True) * norm
        unrelated = generator.images_from(
            directions.astype(np.float32), generator.spec.class_vectors([1] * 4)
        )
        assert (np.abs(made.astype(int) - unrelated) <= 1).all()

    run(scenario)


def test_a_variation_tells_the_latent_from_which_it_is_made_again(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for subject in SUBJECTS:
            of = {key: value for key, value in subject.items() if key in ("label", "mix")}
            reply = (await variations(client, **subject, n=3, variation_seed=5, format="json")).json()
            assert [entry["variation_seed"] for entry in reply["images"]] == [5, 6, 7]
            for entry in reply["images"]:
                file = io.BytesIO(base64.b64decode(entry["b64_png"]))
                assert json.loads(Image.open(file).info["mintage"])["latent"] == entry["latent"]
                assert entry["strength"] == 0.2
                again = await post(client, **of, latent=latent_of(entry["latent"]))
                np.testing.assert_array_equal(picture(again)[..., 0], np.asarray(Image.open(file)))
        reply = await variations(client, label=1, seed=7, n=3, format="zip")
        with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
            assert archive.namelist() == ["0.png", "1.png", "2.png"]
        told = json.loads(
            Image.open(io.BytesIO((await variations(client, label=1, seed=7)).content)).info["mintage"]
        )
        assert (told["n"], told["strength"], told["variations_of"]) == (8, 0.2, {"label": "Bag", "seed": 7})

    run(scenario)


def test_a_grid_has_every_class_with_every_seed(run: Run, grey: Path) -> None:
    seeds = [7, 0, 2**32 - 1]
    expected = Generator.open(grey).grid([0, 1, 2], seeds, truncation=0.8)

    async def scenario(client: httpx.AsyncClient) -> None:
        fields: dict[str, Any] = {"labels": "all", "seeds": seeds, "truncation": 0.8}
        sheet = picture(await grid(client, **fields, scale=2))
        flat = expected.reshape(9, 14, 14, 1)
        np.testing.assert_array_equal(sheet, enlarge(contact_sheet(flat, columns=3), 2))
        np.testing.assert_array_equal(array_of(await grid(client, **fields, format="npy")), flat)
        reply = await grid(client, **fields | {"labels": ["ankle-boot", 0]}, format="json")
        entries = [(entry["label"], entry["seed"]) for entry in reply.json()["images"]]
        assert entries == [(name, seed) for name in ("Ankle boot", "T-shirt/top") for seed in seeds]
        archive = zipfile.ZipFile(io.BytesIO((await grid(client, **fields, format="zip")).content))
        alone = await post(client, label=1, seed=0, truncation=0.8)
        assert archive.read("bag/0.png") == alone.content
        assert len(archive.namelist()) == 9
        assert reply.headers["x-seed"] == "7"

    run(scenario)


@pytest.mark.parametrize("model", ["grey", "rgb"])
@pytest.mark.parametrize("seeds", [[1, 2], [4294967295, 4294967294]])
def test_axis_labels_stand_beside_the_images_and_change_no_pixel_of_them(
    run: Run, model: str, seeds: list[int]
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        fields: dict[str, Any] = {"labels": "all", "seeds": seeds, "model": model, "scale": 3}
        plain = array_of(await grid(client, **fields, format="npy"))
        reply = await grid(client, **fields, axis_labels=True)
        told = json.loads(Image.open(io.BytesIO(reply.content)).info["mintage"])
        assert told["seeds"] == seeds
        sheet = picture(reply)
        side, rows = plain.shape[1], len(plain) // 2
        assert sheet.shape[2] == 3
        assert sheet.shape[0] > rows * side
        assert sheet.shape[1] > 2 * side
        below, beside = sheet.shape[0] - 16, sheet.shape[1] - 16  # the margins of the last image
        np.testing.assert_array_equal(
            sheet[below - side : below, beside - side : beside], np.broadcast_to(plain[-1], (side, side, 3))
        )
        for form in ("webp", "jpeg"):
            other = await grid(client, **fields, axis_labels=True, format=form)
            assert Image.open(io.BytesIO(other.content)).size == (sheet.shape[1], sheet.shape[0])

    run(scenario)


def test_directions_move_the_latent_by_coefficient_times_unit_direction(run: Run, grey: Path) -> None:
    generator = Generator.open(grey)
    directions = generator.artifact.directions
    assert directions is not None
    moved = latents([7], 5) + 2.5 * directions.vectors[0] - directions.vectors[3]

    async def scenario(client: httpx.AsyncClient) -> None:
        model = (await client.get("/v1/models/grey")).json()
        assert [entry["index"] for entry in model["directions"]] == [0, 1, 2, 3, 4]
        shares = [entry["explained"] for entry in model["directions"]]
        assert shares == sorted(shares, reverse=True)
        assert abs(sum(shares) - 1) < 1e-4  # the five of five components explain all
        steering = {"0": 2.5, "3": -1}
        steered = await post(client, label=1, seed=7, directions=steering)
        by_latent = await post(client, label=1, latent=moved[0].tolist())
        assert (np.abs(picture(steered).astype(int) - picture(by_latent)) <= 1).all()
        np.testing.assert_array_equal(
            picture(steered), generator.images([1], [7], directions={0: 2.5, 3: -1})[0]
        )
        assert steered.headers["x-seed"] == "7"
        told = json.loads(Image.open(io.BytesIO(steered.content)).info["mintage"])
        assert (told["seed"], told["directions"]) == (7, steering)
        link = await client.get(f"/v1/images/{model['version']}/bag/7.png?directions=0:2.5,3:-1")
        assert link.content == steered.content
        plain = await client.get(f"/v1/images/{model['version']}/bag/7.png")
        assert plain.content != link.content
        assert plain.headers["etag"] != link.headers["etag"]
        array = array_of(await post(client, label=1, seed=6, n=3, directions=steering, format="npy"))
        np.testing.assert_array_equal(
            array[1:2], array_of(await post(client, **told_fields(told), format="npy"))
        )
        given = await post(client, label=1, latent=latents([7], 5)[0].tolist(), directions=steering)
        np.testing.assert_array_equal(picture(given), picture(steered))

    run(scenario)


def told_fields(told: dict[str, Any]) -> dict[str, Any]:
    """A PNG's text as a request."""
    return {key: value for key, value in told.items() if key != "model"}


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({"5": 1}, "there are 0..4"),
        ({"-1": 1}, "this model has the directions 0..4"),
        ({"00": 1}, "this model has the directions 0..4"),
        ({"": 1}, "this model has the directions 0..4"),
        ({"x" * 9999: 1}, "this model has the directions 0..4"),
        ({"²": 1}, "this model has the directions 0..4"),
        ({"0": 10.1}, "within +-10"),
        ({"0": "1"}, "within +-10"),
        ([1], "within +-10"),
    ],
)
def test_directions_that_are_not_there_are_refused(run: Run, directions: Any, message: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        refused = problem(await post(client, label=0, seed=1, directions=directions), 422)
        assert refused["field"] == "directions"
        assert message in refused["detail"]

    run(scenario)


def test_a_link_with_wrong_directions_is_refused(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for text in ("0", "0:", "0:x", "0:nan", "0:inf", "0:11", "9:1", "0:1,,", ""):
            reply = await client.get(f"/v1/images/grey/bag/7.png?directions={text}")
            assert problem(reply, 422)["field"] == "directions", text

    run(scenario)


def test_an_artifact_without_directions_is_served_and_says_what_adds_them(
    run: Run, grey_of_an_earlier_version: Path
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/models/grey")).json()["directions"] == []
        assert (await post(client, label=0, seed=1)).status_code == 200
        refused = problem(await post(client, label=0, seed=1, directions={"0": 1}), 422)
        assert "export complete" in refused["detail"]
        assert (await post(client, label=0, seed=1, directions={})).status_code == 422

    run(scenario, models=grey_of_an_earlier_version)


def test_wrong_requests_name_the_field(run: Run) -> None:
    wrong_variations: list[tuple[dict[str, Any], str, str]] = [
        ({"label": 0, "strength": 1.1}, "strength", "numbers from 0 to 1"),
        ({"label": 0, "strength": -0.1}, "strength", "numbers from 0 to 1"),
        ({"label": 0, "n": 0}, "n", "whole numbers from 1"),
        ({"label": 0, "n": 33}, "n", "allowed are 1 to 32"),
        ({"label": 0, "variation_seed": -1}, "variation_seed", "whole numbers from 0"),
        ({"seed": 1}, "label", "give either label"),
        ({"label": 0, "latent": [1]}, "latent", "1 components"),
        ({"label": 0, "latent": [[0] * 5]}, "latent", "a list of numbers"),
        ({"label": 0, "latent": [0] * 5, "seed": 1}, "seed", "exclude each other"),
        ({"label": 0, "seeds": [1]}, "seeds", "unknown field"),
    ]
    wrong_grids: list[tuple[dict[str, Any], str, str]] = [
        ({"seeds": [1]}, "labels", "labels is missing"),
        ({"labels": "all"}, "seeds", "seeds is missing"),
        ({"labels": "some", "seeds": [1]}, "labels", '"all", or a list of classes'),
        ({"labels": [], "seeds": [1]}, "labels", '"all", or a list of classes'),
        ({"labels": ["Hat"], "seeds": [1]}, "labels", "'Hat' is not a class"),
        ({"labels": ["Bag", 1], "seeds": [1]}, "labels", "labels has 1 2 times"),
        ({"labels": "all", "seeds": []}, "seeds", "a list of whole numbers"),
        ({"labels": "all", "seeds": [1, 2, 1]}, "seeds", "seeds has 1 2 times"),
        ({"labels": "all", "seeds": [-1]}, "seeds", "a list of whole numbers"),
        ({"labels": "all", "seeds": list(range(11))}, "seeds", "33 images"),
        ({"labels": "all", "seeds": [1], "axis_labels": 1}, "axis_labels", "true or false"),
        ({"labels": "all", "seeds": [1], "quality": 5}, "quality", "quality is for jpeg and webp"),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for ask, wrong in ((variations, wrong_variations), (grid, wrong_grids)):
            for fields, field, message in wrong:
                refused = problem(await ask(client, **fields), 422)
                assert refused["field"] == field
                assert message in refused["detail"]

    run(scenario, max_images=32)
