"""Everything at once, valid and not, from many clients: no reply is unexplained, no image is wrong.

MINTAGE_TEST_LONG=1 sends 20,000 requests, otherwise 2,000.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from generator import Generator
from generator.latents import latents
from generator.pixels import Pixels, contact_sheet, enlarge
from tests.service.raw_client import Broken, Reply, connected, get, post
from tests.service.test_requests import WRONG
from tests.service.test_server import serving
from tests.service.test_stranger import REFUSED

REQUESTS = 20_000 if os.environ.get("MINTAGE_TEST_LONG") else 2_000
CLIENTS = 48
SAMPLE = 0.2  # of the images, which are compared with the generator's
MIB = 2**20
MODELS = {"grey": 3, "rgb": 2}  # name -> classes


@dataclass(frozen=True)
class Question:
    request: bytes
    statuses: frozenset[int]  # that explain themselves
    images: Callable[[], Pixels] | None = None  # what a 200 has to show
    scale: int = 1
    patience_s: float = 60  # before the client hangs up


@pytest.fixture(scope="module")
def generators(models_folder: Path) -> dict[str, Generator]:
    return {name: Generator.open(models_folder / name, threads=1) for name in MODELS}


@pytest.fixture(scope="module")
def url(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with serving(home, models=models_folder, workers=2, threads=1, max_queue=1000, max_images=64) as (url, _):
        yield url


def valid(rng: random.Random, generators: dict[str, Generator]) -> Question:
    """A request that makes images, and what they are."""
    model, count, scale = rng.choice(list(MODELS)), rng.choice((1, 1, 1, 2, 9, 64)), rng.choice((1, 1, 3))
    made, seed = generators[model], rng.getrandbits(32)
    form = rng.choice(("png", "webp", "json", "npy", "zip"))
    fields: dict[str, Any] = {"model": model, "scale": scale, "format": form}
    seeds = [(seed + step) & 0xFFFFFFFF for step in range(count)]
    truncation = rng.choice((None, None, 0.5))
    if rng.random() < 0.3:
        latent = latents(seeds, made.spec.latent_dim, truncation, made.spec.noise)
        fields["latent"] = latent.tolist()
    else:
        latent = None
        fields |= {"seed": seed, "n": count, "truncation": truncation}
    if rng.random() < 0.3:
        weights = {str(label): rng.random() + 0.01 for label in range(MODELS[model])}
        vector = made.spec.mix_vector(weights)
        fields["mix"] = weights
    else:
        label = rng.randrange(MODELS[model])
        vector = made.spec.class_vector(label)
        fields["label"] = label

    def images() -> Pixels:
        drawn = (
            latents(seeds, made.spec.latent_dim, truncation, made.spec.noise) if latent is None else latent
        )
        return made.images_from(drawn, np.repeat(vector[None], count, axis=0))

    hasty = rng.random() < 0.1
    if hasty:
        fields["timeout_ms"] = rng.choice((1, 5, 20))
    return Question(
        post(fields), frozenset({200, 429, 504} if hasty else {200, 429}), images, scale,
        patience_s=rng.uniform(0, 0.05) if rng.random() < 0.05 else 60,
    )  # fmt: skip


def invalid(rng: random.Random) -> Question:
    kind = rng.randrange(4)
    if kind == 0:
        fields, _, _ = rng.choice(WRONG)
        return Question(post({"model": "grey", **fields}), frozenset({422}))
    if kind == 1:
        body, status, _ = rng.choice(REFUSED)
        return Question(post(body), frozenset({status}))
    if kind == 2:
        return Question(post({"label": 0}, accept="text/html"), frozenset({406}))
    path, status = rng.choice(
        [
            ("/v1/images", 405),
            ("/v1/models/none", 404),
            ("/v1/images/grey@000000000000/0/7.png", 410),
            ("/v1/images/grey/0/7.png?scale=0", 422),
            ("/nowhere", 404),
        ]
    )
    return Question(get(path), frozenset({status}))


def question(rng: random.Random, generators: dict[str, Generator]) -> Question:
    chance = rng.random()
    if chance < 0.7:
        return valid(rng, generators)
    if chance < 0.9:
        return invalid(rng)
    if chance < 0.95:
        path = rng.choice(("/livez", "/readyz", "/metrics", "/v1/models", "/openapi.json"))
        return Question(get(path), frozenset({200}))
    seed = rng.getrandbits(32)
    return Question(
        get(f"/v1/images/grey/bag/{seed}.png"),
        frozenset({200, 429}),
        lambda: generators["grey"].images(["Bag"], [seed]),
    )


def shown(reply: Reply) -> list[Pixels]:
    """The pictures of a reply, each [H, W, C]."""
    kind = reply.headers["content-type"]
    if kind == "application/x-npy":
        return list(np.load(io.BytesIO(reply.body), allow_pickle=False))
    if kind == "application/json":
        files = [base64.b64decode(entry["b64_png"]) for entry in reply.json["images"]]
    elif kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
            files = [archive.read(name) for name in archive.namelist()]
    else:
        files = [reply.body]
    pictures = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    return [picture[..., None] if picture.ndim == 2 else picture for picture in pictures]


def check_images(asked: Question, reply: Reply) -> None:
    assert asked.images is not None
    expected = enlarge(asked.images(), asked.scale)
    pictures = shown(reply)
    if len(pictures) == 1 and len(expected) > 1:
        expected = contact_sheet(expected)[None]
    if reply.headers["content-type"] == "image/webp":  # which has no grey
        pictures = [picture[..., : expected.shape[-1]] for picture in pictures]
    np.testing.assert_array_equal(np.stack(pictures), expected)


def check(asked: Question, reply: Reply, sampled: bool) -> None:
    assert reply.status in asked.statuses, (asked, reply.body[:500])
    if reply.status != 200:
        assert reply.headers["content-type"] == "application/problem+json"
        problem = json.loads(reply.body)
        assert problem["status"] == reply.status
        assert problem["detail"]
    elif asked.images is not None and sampled:
        check_images(asked, reply)


async def ask_all(url: str, questions: list[Question], rng: random.Random) -> Counter[str]:
    """Each client keeps its connection while it can."""
    waiting, seen = iter(questions), Counter[str]()

    async def client() -> None:
        for first in waiting:
            asked: Question | None = first
            async with connected(url) as connection:
                while asked is not None:
                    answer = connection.ask(asked.request)
                    try:
                        reply = await asyncio.wait_for(answer, asked.patience_s)
                    except TimeoutError:
                        assert asked.patience_s < 60
                        seen["hung up"] += 1
                        break
                    check(asked, reply, rng.random() < SAMPLE)
                    seen[str(reply.status)] += 1
                    asked = next(waiting, None)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return seen


def workers(url: str) -> list[psutil.Process]:
    told = httpx.get(f"{url}/readyz").json()["workers"]
    return [psutil.Process(worker["pid"]) for worker in told]


def test_every_answer_to_a_mixture_of_everything_is_explained(
    url: str, generators: dict[str, Generator]
) -> None:
    rng = random.Random(0)
    before = workers(url)
    try:
        warm = asyncio.run(ask_all(url, [question(rng, generators) for _ in range(REQUESTS // 4)], rng))
        memory = [process.memory_info().rss for process in before]
        seen = asyncio.run(ask_all(url, [question(rng, generators) for _ in range(REQUESTS)], rng))
    except Broken as broken:
        raise AssertionError("a connection broke without a reason") from broken
    print(dict(warm), dict(seen))
    assert seen.total() == REQUESTS
    assert seen["200"] > REQUESTS / 2
    assert {"400", "404", "405", "406", "410", "422", "hung up"} <= seen.keys()
    after = workers(url)
    assert [process.pid for process in after] == [process.pid for process in before]
    for process, was in zip(after, memory, strict=True):
        assert process.memory_info().rss - was < 64 * MIB
        assert process.num_fds() < 200
