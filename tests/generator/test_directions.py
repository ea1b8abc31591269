"""Directions: stored whole, applied as coefficient x unit direction, refused where they are none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from generator import Generator
from generator.artifact import Artifact
from generator.directions import Directions, DirectionsError
from generator.latents import latents

AXES = Directions(np.eye(4, dtype=np.float32)[:3], np.array([0.5, 0.3, 0.1], np.float32))


def test_a_latent_is_moved_by_the_sum_of_coefficient_times_unit_direction() -> None:
    rows = latents([1, 2], 4)
    np.testing.assert_allclose(AXES.moved(rows, {0: 2.5, 2: -1}), rows + np.array([2.5, 0, -1, 0]), atol=1e-6)
    np.testing.assert_array_equal(AXES.moved(rows, {}), rows)
    np.testing.assert_array_equal(AXES.moved(rows, {1: 0}), rows)
    assert AXES.moved(rows, {0: 1}).dtype == np.float32


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        ({3: 1}, r"direction 3: there are 0\.\.2"),
        ({-1: 1}, r"direction -1: there are 0\.\.2"),
        ({0: 10.5}, r"coefficient 10\.5: allowed are -10\.\.10"),
        ({0: float("nan")}, "coefficient nan"),
        ({0: -float("inf")}, "coefficient -inf"),
    ],
)
def test_what_is_not_there_or_too_far_is_refused(coefficients: dict[int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AXES.shift(coefficients)


def test_directions_are_read_as_they_were_written_and_written_always_the_same() -> None:
    content = AXES.to_bytes()
    assert content == AXES.to_bytes()
    again = Directions.from_bytes(content, 4)
    np.testing.assert_array_equal(again.vectors, AXES.vectors)
    np.testing.assert_array_equal(again.explained, AXES.explained)


def test_what_is_no_directions_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, vectors=np.ones((2, 4), np.float32), explained=np.ones(2, np.float32))
    for content, message in (
        (b"", "not directions"),
        (AXES.to_bytes()[:-40], "not directions"),
        (buffer.getvalue(), "no unit vectors"),
    ):
        with pytest.raises(DirectionsError, match=message):
            Directions.from_bytes(content, 4)
    with pytest.raises(DirectionsError, match="latents have 5"):
        Directions.from_bytes(AXES.to_bytes(), 5)


def test_a_generator_moves_its_images_along_its_directions(grey: Path) -> None:
    generator = Generator.open(grey)
    directions = generator.artifact.directions
    assert directions is not None
    moved = directions.moved(latents([7, 8], 5), {0: 3, 4: -2})
    expected = generator.images_from(moved, generator.spec.class_vectors([0, 1]))
    np.testing.assert_array_equal(generator.images([0, 1], [7, 8], directions={0: 3, 4: -2}), expected)


def test_a_generator_without_directions_says_what_adds_them(grey_of_an_earlier_version: Path) -> None:
    assert Artifact.open(grey_of_an_earlier_version).directions is None
    generator = Generator.open(grey_of_an_earlier_version)
    with pytest.raises(ValueError, match="export complete"):
        generator.images([0], [7], directions={0: 1})
