"""Refinement finds latents by images alone, never makes an error larger, and is the same every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from generator import Generator
from generator.engines import EngineError
from generator.latents import Latents, latents
from generator.pixels import Pixels, rms_error
from generator.refining import MAX_PROBES, Refined, images_of_search, refine

Images = Callable[[Latents], Pixels]


def curved(latent_dim: int) -> Images:
    """A smooth generator that is not linear: [N, latent_dim] -> uint8 [N, 12, 12, 1]."""
    weight = np.random.default_rng(0).normal(size=(latent_dim, 144)) / np.sqrt(latent_dim)

    def images(latent: Latents) -> Pixels:
        values = np.tanh(latent.astype(np.float64) @ weight)
        made: Pixels = np.round((values + 1) * 127.5).astype(np.uint8).reshape(-1, 12, 12, 1)
        return made

    return images


def searched(images: Images, target: Pixels, start: Latents, steps: int) -> tuple[Refined, int]:
    """What a search found, and how many images it took."""
    search, made = refine(target, start, steps), 0
    wanted = next(search)
    while True:
        made += len(wanted)
        assert wanted.dtype == np.float32
        try:
            wanted = search.send(images(wanted))
        except StopIteration as end:
            return end.value, made


def test_a_few_steps_find_the_latent_of_an_image() -> None:
    images, (true, start) = curved(8), latents([1, 2], 8)
    target = images(true[None])[0]
    found, made = searched(images, target, start, steps=8)
    before = float(rms_error(images(start[None])[0], target))
    assert found.error < before / 20
    np.testing.assert_allclose(found.latent, true, atol=0.1)
    np.testing.assert_array_equal(found.image, images(found.latent[None])[0])
    assert found.error == float(rms_error(found.image, target))
    assert made <= images_of_search(8, 8)


def test_no_step_makes_the_error_larger_and_the_same_search_finds_the_same() -> None:
    images, (true, start) = curved(8), latents([3, 4], 8)
    target = 255 - images(true[None])[0]  # that no latent makes
    errors = [searched(images, target, start, steps)[0].error for steps in range(7)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]
    once, again = (searched(images, target, start, 6)[0] for _ in range(2))
    np.testing.assert_array_equal(once.latent, again.latent)


def test_a_latent_of_many_components_is_searched_by_a_bounded_number_of_images() -> None:
    dim = 3 * MAX_PROBES
    images, (true, start) = curved(dim), latents([5, 6], dim)
    target = images(true[None])[0]
    found, made = searched(images, target, start, steps=6)
    assert found.error < searched(images, target, start, steps=0)[0].error / 3
    assert made <= images_of_search(6, dim) == 1 + 6 * (MAX_PROBES + 8)


@pytest.mark.parametrize("name", ["grey", "rgb"])
def test_a_generator_inverts_images_to_what_makes_its_reconstructions(
    models_with_encoders: Path, name: str
) -> None:
    generator = Generator.open(models_with_encoders / name)
    images = generator.images([0, 1, 0], [7, 8, 9])
    plain, refined = generator.invert(images, refine=0), generator.invert(images)
    for found in (plain, refined):
        vectors = generator.spec.one_hot[found.labels]
        np.testing.assert_array_equal(generator.images_from(found.latent, vectors), found.images)
        np.testing.assert_array_equal(found.errors, rms_error(found.images, images))
        np.testing.assert_array_equal(found.labels, found.probabilities.argmax(1))
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
    assert (refined.errors < plain.errors).all()
    forced = generator.invert(images, labels=[1, 1, 0])
    np.testing.assert_array_equal(forced.labels, [1, 1, 0])
    assert len(generator.invert(images[:0]).latent) == 0
    if generator.spec.noise == "uniform":
        assert np.abs(refined.latent).max() <= 1


def test_what_cannot_be_inverted_is_refused(models_with_encoders: Path, grey: Path) -> None:
    generator = Generator.open(models_with_encoders / "grey")
    with pytest.raises(ValueError, match=r"allowed are uint8 \[N, 14, 14, 1\]"):
        generator.invert(np.zeros((1, 28, 28, 1), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        generator.invert(np.zeros((1, 14, 14, 1)))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="python -m training encoder"):
        Generator.open(grey).invert(np.zeros((1, 14, 14, 1), np.uint8))
