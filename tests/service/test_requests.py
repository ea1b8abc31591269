from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from generator.latents import MAX_SEED, latents
from service.errors import BadRequest, InvalidField
from service.requests import parse_images_request, work_item
from service.settings import Settings
from service.work import WorkItem, batch_inputs
from tests.conftest import GREY

SETTINGS = Settings(max_images=100)
LATENT = [0.5, -1, 2, 0, 1e-3]


def made_of(**fields: Any) -> WorkItem:
    return work_item(parse_images_request(json.dumps(fields).encode()), GREY, SETTINGS)


def test_a_label_is_an_index_a_name_or_a_slug() -> None:
    for label in (2, "Ankle boot", "ankle-boot"):
        assert made_of(label=label, seed=1).classes == 2


def test_several_images_have_seeds_that_count_up_and_wrap() -> None:
    assert made_of(label=0, seed=MAX_SEED - 1, n=4).seeds == (MAX_SEED - 1, MAX_SEED, 0, 1)


def test_without_a_seed_one_is_drawn() -> None:
    drawn = {made_of(label=0).seeds[0] for _ in range(20)}
    assert len(drawn) == 20
    assert all(0 <= seed <= MAX_SEED for seed in drawn)


def test_a_mix_is_normalised() -> None:
    np.testing.assert_allclose(made_of(mix={"Bag": 3, "0": 1}, seed=0).class_vectors(GREY), [[0.25, 0.75, 0]])


@pytest.mark.parametrize("latent", [LATENT, [LATENT, LATENT]])
def test_latents_are_taken_as_they_are(latent: list[Any]) -> None:
    item = made_of(label=0, latent=latent)
    assert item.latent is not None
    np.testing.assert_array_equal(item.latent, np.array(latent, np.float32).reshape(-1, 5))
    assert item.seeds == ()


def test_a_batch_of_all_kinds_has_the_inputs_of_each() -> None:
    items = [
        made_of(label=0, seed=5, n=3),
        made_of(label=1, latent=LATENT),
        made_of(label=2, seed=5, truncation=0.4),
        made_of(mix={"Bag": 1, "Ankle boot": 1}, seed=9),
    ]
    latent, class_vector = batch_inputs(items, GREY)
    np.testing.assert_array_equal(latent[:3], latents([5, 6, 7], 5))
    np.testing.assert_array_equal(latent[3], np.array(LATENT, np.float32))
    np.testing.assert_array_equal(latent[4:5], latents([5], 5, 0.4))
    np.testing.assert_array_equal(latent[5:], latents([9], 5))
    np.testing.assert_allclose(class_vector, [[1, 0, 0]] * 3 + [[0, 1, 0], [0, 0, 1], [0, 0.5, 0.5]])
    assert latent.dtype == class_vector.dtype == np.float32


def test_rows_of_an_item_are_its_part() -> None:
    assert made_of(label=0, seed=5, n=9).rows(2, 4).seeds == (7, 8)
    part = made_of(label=0, latent=[LATENT, [0, 0, 0, 0, 0]]).rows(1, 2)
    assert part.latent is not None
    assert part.latent.tolist() == [[0, 0, 0, 0, 0]]


def test_images_of_one_item_may_have_a_class_vector_and_a_truncation_each() -> None:
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]], np.float32)
    each = WorkItem(vectors, (5, 6, 7), truncation=(0.4, 1.0, 8.0))
    given = WorkItem(vectors[:2], latent=np.array([LATENT, LATENT], np.float32))
    items = [made_of(label=2, seed=9, n=2), each, given]
    latent, class_vector = batch_inputs(items, GREY)
    np.testing.assert_array_equal(class_vector, [[0, 0, 1]] * 2 + vectors.tolist() + vectors[:2].tolist())
    np.testing.assert_array_equal(latent[:2], latents([9, 10], 5))
    np.testing.assert_array_equal(latent[2:5], latents([5, 6, 7], 5, [0.4, 1.0, 8.0]))
    np.testing.assert_array_equal(latent[5:], np.array([LATENT] * 2, np.float32))
    parts = [*(each.rows(n, n + 1) for n in range(3)), given.rows(0, 1), given.rows(1, 2)]
    in_parts = batch_inputs([items[0], *parts], GREY)
    np.testing.assert_array_equal(in_parts[0], latent)
    np.testing.assert_array_equal(in_parts[1], class_vector)
    assert latent.dtype == class_vector.dtype == np.float32


SEEDS = "allowed is whole numbers from 0 to 4294967295"
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({}, "label", "give either label"),
    ({"label": 0, "mix": {"Bag": 1}}, "label", "and not both"),
    ({"label": 3}, "label", r"label 3 is not a class: use 0\.\.2 or one of"),
    ({"label": -1}, "label", "label -1 is not a class"),
    ({"label": "Hat"}, "label", "label 'Hat' is not a class"),
    ({"label": "1"}, "label", r"use 0\.\.2 \(an index goes without quotes\)"),
    ({"label": "x" * 9999}, "label", r"label 'xxxxxxxxxxxx\.\.\.xxxxxxxxxxxxx' is not a class"),
    ({"label": 1.5}, "label", "label 1.5: allowed is a class's name or slug"),
    ({"label": True}, "label", "label True: allowed is a class's name"),
    ({"label": None}, "label", "give either label"),
    ({"label": [0]}, "label", r"label \[0\]: allowed is a class's name"),
    ({"label": 10**30}, "label", "is not a class"),
    ({"mix": {}}, "mix", "no positive weight"),
    ({"mix": {"Bag": -1}}, "mix", "mix weight -1"),
    ({"mix": {"Hat": 1}}, "mix", "'Hat'"),
    ({"mix": {"7": 1}}, "mix", "label 7 is not a class"),
    ({"mix": {"7" * 5000: 1}}, "mix", "is not a class"),
    ({"mix": {"Bag": "much"}}, "mix", "allowed is an object of classes and weights"),
    ({"mix": [1]}, "mix", "allowed is an object of classes and weights"),
    ({"label": 0, "seed": -1}, "seed", f"seed -1: {SEEDS}"),
    ({"label": 0, "seed": 2**32}, "seed", f"seed 4294967296: {SEEDS}"),
    ({"label": 0, "seed": 1.5}, "seed", f"seed 1.5: {SEEDS}"),
    ({"label": 0, "seed": "7"}, "seed", f"seed '7': {SEEDS}"),
    ({"label": 0, "n": 0}, "n", "n 0: allowed is whole numbers from 1"),
    ({"label": 0, "n": 101}, "n", "allowed are 1 to 100"),
    ({"label": 0, "truncation": 0}, "truncation", "truncation 0: allowed is numbers above 0, up to 8"),
    ({"label": 0, "truncation": 99}, "truncation", "truncation 99: allowed is numbers above 0, up to 8"),
    ({"label": 0, "scale": 0}, "scale", "scale 0: allowed is whole numbers from 1 to 64"),
    ({"label": 0, "scale": 65}, "scale", "scale 65: allowed is whole numbers from 1 to 64"),
    ({"label": 0, "format": "bmp"}, "format", "format 'bmp': allowed is png, webp, jpeg, json, npy, zip"),
    ({"label": 0, "quality": 0}, "quality", "quality 0: allowed is whole numbers from 1 to 100"),
    ({"label": 0, "timeout_ms": 0}, "timeout_ms", "timeout_ms 0: allowed is whole numbers from 1"),
    ({"label": 0, "colour": "red"}, "colour", "unknown field 'colour': allowed are label, mix, seed"),
    ({"label": 0, "latent": []}, "latent", "0 components: allowed are vectors of 5"),
    ({"label": 0, "latent": [1, 2, 3, 4]}, "latent", "4 components"),
    ({"label": 0, "latent": [LATENT, [1]]}, "latent", "1 components"),
    ({"label": 0, "latent": [LATENT, 1]}, "latent", "numbers and vectors side by side"),
    ({"label": 0, "latent": [1, 2, 3, 4, [5]]}, "latent", "numbers and vectors side by side"),
    ({"label": 0, "latent": [1, 2, 3, 4, 101]}, "latent", "component 101"),
    ({"label": 0, "latent": [1, 2, 3, 4, None]}, "latent", "allowed is a list of numbers"),
    ({"label": 0, "latent": [LATENT] * 101}, "latent", "101 images"),
    ({"label": 0, "latent": LATENT, "seed": 1}, "seed", "exclude each other"),
    ({"label": 0, "latent": LATENT, "truncation": 1}, "truncation", "exclude each other"),
    ({"label": 0, "latent": LATENT, "n": 2}, "n", "1 latents"),
]


@pytest.mark.parametrize(("fields", "field", "message"), WRONG)
def test_a_wrong_field_is_named_with_what_is_allowed(
    fields: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidField, match=message) as caught:
        made_of(**fields)
    assert caught.value.members == {"field": field}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"sneaker", b'{"label": NaN}', b'{"label": "\xff"}', b'{"label": 0} x']
)
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        parse_images_request(body)


@pytest.mark.parametrize("body", [b"[]", b"7", b"[" * 5000, b"null", b'"label"'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidField, match="the body is not an object"):
        parse_images_request(body)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises((InvalidField, BadRequest)):
        parse_images_request(b'{"label": 0, "truncation": 1e999}')
