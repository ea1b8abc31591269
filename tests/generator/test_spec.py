from __future__ import annotations

import numpy as np
import pytest

from generator.spec import GeneratorSpec, SpecError, UnknownLabel
from tests.conftest import GREY


def spec(*names: str) -> GeneratorSpec:
    return GeneratorSpec(names, image_size=28, channels=1, latent_dim=8)


def test_a_class_is_found_by_index_name_and_slug() -> None:
    assert [GREY.class_index(label) for label in (0, "T-shirt/top", "t-shirt-top")] == [0, 0, 0]
    assert GREY.class_index("ankle-boot") == 2


def test_digits_as_names_are_names_in_json_and_never_slugs() -> None:
    digits = spec("5", "3")
    assert digits.class_index("3") == 1
    assert digits.class_index(1) == 1
    assert digits.slugs == ("class-5", "class-3")


@pytest.mark.parametrize("label", [3, -1, "Hat", "", True, "0"])
def test_an_unknown_label_is_refused_with_what_is_allowed(label: int | str) -> None:
    with pytest.raises(UnknownLabel, match=r"use 0\.\.2.* or one of T-shirt/top, Bag, Ankle boot"):
        GREY.class_index(label)


def test_slugs_are_unique_ascii_words() -> None:
    slugs = spec("Ärger", "arger", "日本", "A b", "a-B").slugs
    assert slugs == ("arger-0", "arger", "class-2", "a-b", "a-b-4")


def test_a_slug_is_never_another_class() -> None:
    for names in [("a-2", "a", "A"), ("Ankle boot", "ankle-boot"), ("a", "A", "a-1")]:
        one = spec(*names)
        assert len(set(one.slugs)) == len(names)
        assert [one.class_index(slug) for slug in one.slugs] == list(range(len(names)))


def test_a_mix_is_normalised_and_names_may_be_repeated_by_index() -> None:
    vector = GREY.mix_vector({"Bag": 3, "t-shirt-top": 1, "1": 4})
    np.testing.assert_allclose(vector, [1 / 8, 7 / 8, 0])
    assert vector.dtype == np.float32


@pytest.mark.parametrize("mix", [{}, {"Bag": 0.0}, {"Bag": -1.0}, {"Bag": float("nan")}, {"Hat": 1.0}])
def test_a_senseless_mix_is_refused(mix: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"mix|label 'Hat'"):
        GREY.mix_vector(mix)


def test_json_keeps_a_spec_whole() -> None:
    assert GeneratorSpec.from_json(GREY.to_json()) == GREY


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["only"]},
        {"class_names": ["twice", "twice"]},
        {"class_names": ["", "b"]},
        {"channels": 4},
        {"image_size": 0},
        {"latent_dim": 0},
        {"noise": "pink"},
    ],
)
def test_a_spec_that_describes_no_generator_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        GeneratorSpec.from_json(GREY.to_json() | change)


def test_a_spec_with_a_missing_field_is_refused() -> None:
    fields = GREY.to_json()
    del fields["latent_dim"]
    with pytest.raises(SpecError, match="latent_dim"):
        GeneratorSpec.from_json(fields)
