"""Answers are compared pixel for pixel, and a peer does our service's work."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks.answers import WrongAnswer, ask, compare, draw, expected
from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work
from benchmarks.questions import ARRAY_OF_64, ONE_PNG, ONE_PNG_V2
from generator import Generator
from service.encoding import Rendering, encode
from service.recipes import Recipe
from service.requests import ImagesRequest, work_item
from service.settings import Settings
from tests.benchmarks.responder import Server


def test_one_wrong_pixel_is_found(grey: Path) -> None:
    generator = Generator.open(grey)
    right = expected(ONE_PNG, generator, 1, 5)
    compare(right.copy(), right, 1, 5)
    wrong = right.copy()
    wrong[0, 3, 4, 0] ^= 1
    with pytest.raises(WrongAnswer, match="label 1, seed 5: 1 of 196 pixels"):
        compare(wrong, right, 1, 5)
    with pytest.raises(WrongAnswer, match="in place of"):
        compare(right[:, :-1], right, 1, 5)


def test_every_form_of_answer_is_read_back(rgb: Path) -> None:
    generator = Generator.open(rgb)
    (png,) = Work(PeerSettings(str(rgb), "shipped")).pngs([1], [9])
    right = expected(ONE_PNG, generator, 1, 9)
    compare(ONE_PNG.read({}, png), right, 1, 9)
    v2 = b'{"outputs":[]}' + struct.pack("<I", len(png)) + png
    compare(ONE_PNG_V2.read({"inference-header-content-length": "14"}, v2), right, 1, 9)
    buffer = io.BytesIO()
    np.save(buffer, generator.images([1] * 64, range(9, 73)))
    compare(ARRAY_OF_64.read({}, buffer.getvalue()), expected(ARRAY_OF_64, generator, 1, 9), 1, 9)


def test_bodies_are_json_that_name_label_and_seed() -> None:
    assert json.loads(ONE_PNG.body(7, 2**32 - 1)) == {"label": 7, "seed": 2**32 - 1}
    assert json.loads(ARRAY_OF_64.body(0, 3))["n"] == ARRAY_OF_64.images
    tensors = json.loads(ONE_PNG_V2.body(7, 42))["inputs"]
    assert {tensor["name"]: tensor["data"] for tensor in tensors} == {"label": [7], "seed": [42]}


def test_what_is_no_image_and_what_is_no_200_is_told() -> None:
    with Server(refuse_at=(1,)).running() as port:
        with pytest.raises(WrongAnswer, match="label 2, seed 3: status 429"):
            ask(port, ONE_PNG, 2, 3)
        with pytest.raises(WrongAnswer, match="2 bytes are no image"):
            ask(port, ONE_PNG, 2, 3)
    with pytest.raises(WrongAnswer, match="no answer"):
        ask(port, ONE_PNG, 2, 3)


def test_samples_are_drawn_anew_for_another_seed() -> None:
    assert draw(50, 3, 1) == draw(50, 3, 1) != draw(50, 3, 2)
    assert {label for label, _ in draw(50, 3, 1)} == {0, 1, 2}


def test_a_peer_with_our_encoder_answers_the_bytes_of_our_service(grey: Path) -> None:
    generator = Generator.open(grey)
    pngs = Work(PeerSettings(str(grey), "ours")).pngs([2, 0], [5, 6])
    for png, label, seed in zip(pngs, [2, 0], [5, 6], strict=True):
        item = work_item(ImagesRequest(label=label, seed=seed), generator.spec, Settings())
        recipe = Recipe(generator.artifact.manifest.id, generator.spec.class_names, item)
        assert png == encode(generator.images([label], [seed]), Rendering(), recipe)


def test_a_peer_reads_back_the_settings_it_was_told() -> None:
    settings = PeerSettings("models/fashion", "ours", 80, 2, 1, 16, 0.5, "async def", 3)
    assert PeerSettings.from_environment(settings.to_environment()) == settings
