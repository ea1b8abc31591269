"""A mix keeps its shares, asks nothing twice, and knows what it asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load.kinds import FRAMES, IMAGES, KINDS
from benchmarks.load.mix import Mix, MixError, parse
from benchmarks.load.requests import SEEDS
from benchmarks.load.target import Model, Target
from generator import Generator
from service.requests import parse_images_request, work_item
from service.settings import Settings
from tests.conftest import GREY

MODEL = Model("grey", "grey@000000000000", True, "engine", GREY)
SERVER = Target("127.0.0.1", 80)


def mix(text: str, first_seed: int = 5) -> Mix:
    return Mix(SERVER, MODEL, parse(text), first_seed)


def test_shares_are_kept_by_every_process_whole_cycle_by_whole_cycle() -> None:
    asked = mix("label=80,latent=10,n=10")
    for part in (asked, asked.part(0, 3, after=17), asked.part(2, 3, after=17)):
        kinds = Counter(part.asked(number).kind for number in range(500, 700))
        assert sorted(kinds.values()) == [20, 20, 160]
    names = Counter(asked.names(200).tolist())
    assert names == {"label": 160, "latent": 20, "n": 20}


def test_no_seed_is_asked_for_twice_by_any_process_or_load() -> None:
    asked = mix("label=3,n=1", first_seed=SEEDS - 1000)
    parts = [asked.part(place, 2, after) for after in (0, 400) for place in (0, 1)]
    used: list[int] = []
    for part in parts:
        for one in map(part.asked, range(200)):
            used += [(one.seed + place) % SEEDS for place in range(one.kind.images)]
    assert len(set(used)) == len(used)


def test_labels_go_round() -> None:
    parts = [mix("label").part(place, 2, after=0) for place in (0, 1)]
    labels = Counter(part.asked(number).label for part in parts for number in range(300))
    assert labels == {0: 200, 1: 200, 2: 200}


def test_a_request_is_http_with_the_key_and_the_model_where_it_is_not_the_default() -> None:
    other = Model("rgb", "rgb@0", False, "engine", GREY)
    request = Mix(Target("::1", 80, "secret"), other, {"label": 1}, 7)(0)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/images HTTP/1.1\r\nHost: [::1]:80\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in head
    assert head.endswith(b"Content-Length: %d" % len(body))
    assert json.loads(body) == {"label": 0, "seed": 7, "model": "rgb"}


@pytest.mark.parametrize("name", ["label", "latent", "n", "zip"])
def test_the_service_makes_of_a_request_what_is_expected_of_it(name: str, grey: Path) -> None:
    generator = Generator.open(grey)
    kind = KINDS[name](generator.spec, None)
    request = parse_images_request(kind.body(2, 77))
    item = work_item(request, generator.spec, Settings())
    assert item.count == kind.images
    if item.latent is None:
        images = generator.images([2] * item.count, item.seeds)
    else:
        images = generator.images_from(item.latent, item.class_vectors(generator.spec))
    np.testing.assert_array_equal(images, kind.expected(generator, 2, 77))


def test_latents_of_two_seeds_differ() -> None:
    kind = KINDS["latent"](GREY, None)
    seeds = [0, 1, 255, 256, 257, 2**31, SEEDS - 256, SEEDS - 1]
    latents = [np.array(json.loads(kind.body(0, seed))["latent"], np.float32) for seed in seeds]
    assert len({latent.tobytes() for latent in latents}) == len(seeds)
    assert all(latent.shape == (GREY.latent_dim,) for latent in latents)
    assert all(-1 <= latent[0] < 1 for latent in latents)


def test_an_interpolation_has_two_keyframes_and_its_frames_are_known(grey: Path) -> None:
    generator = Generator.open(grey)
    kind = KINDS["interpolation"](generator.spec, None)
    request = json.loads(kind.body(1, SEEDS - 1))
    assert request["keyframes"] == [{"label": 1, "seed": SEEDS - 1}, {"label": 1, "seed": 0}]
    assert request["frames"] == FRAMES
    frames = kind.expected(generator, 1, SEEDS - 1)
    assert len(frames) == FRAMES
    np.testing.assert_array_equal(frames[[0, -1]], generator.images([1, 1], [SEEDS - 1, 0]))


def test_shares_are_read() -> None:
    assert parse("label=80, latent=10,n") == {"label": 80, "latent": 10, "n": 1}
    assert parse("label=2,zip=0") == {"label": 2}
    assert KINDS["n"](GREY, None).images == IMAGES


@pytest.mark.parametrize("text", ["", "label=", "label=x", "labels=1", "label,label", "label=-1", "label=0"])
def test_a_mix_that_is_not_understood_is_told(text: str) -> None:
    with pytest.raises(MixError, match=r"mix '.*': .*(allowed|use|write)"):
        parse(text)
