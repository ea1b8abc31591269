"""What is shipped is what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from generator import Generator
from generator.artifact import ENCODER, Artifact
from generator.refining import STEPS

ROOT = Path(__file__).parents[1]
FASHION, EMOJI = ROOT / "models" / "fashion", ROOT / "models" / "emoji"
SHIPPED = pytest.mark.parametrize("model", [FASHION, EMOJI], ids=lambda path: path.name)


@SHIPPED
def test_a_generator_has_at_most_two_million_weights(model: Path) -> None:
    graph = onnx.load(model / "generator.onnx").graph
    assert sum(int(np.prod(weights.dims)) for weights in graph.initializer) <= 2_000_000


@SHIPPED
def test_a_manifest_names_data_licence_and_attribution_and_so_does_the_readme(model: Path) -> None:
    provenance, readme = Artifact.open(model).manifest.provenance, (ROOT / "README.md").read_text()
    assert provenance.data_name in readme
    for part in (*provenance.data_licence.split(", "), *provenance.data_attribution.split("; ")):
        assert part in readme


def test_fashion_is_as_good_as_promised() -> None:
    manifest = Artifact.open(FASHION).manifest
    assert manifest.provenance.kimg >= 1500
    assert manifest.provenance.data_images == 60_000
    metrics = manifest.metrics
    real = metrics["basis"]["held_out_real"]
    assert metrics["samples"] == 10_000
    assert metrics["gan_test"]["accuracy"] >= real["gan_test"]["accuracy"] >= 0.92
    assert metrics["gan_train"]["accuracy"] >= 0.86
    distance, floor = (quality["closeness"]["judge"]["frechet_distance"] for quality in (metrics, real))
    assert distance <= 3 * floor


def test_emoji_is_as_good_as_promised() -> None:
    metrics = Artifact.open(EMOJI).manifest.metrics
    assert metrics["gan_test"]["accuracy"] >= 0.9 * metrics["basis"]["held_out_real"]["gan_test"]["accuracy"]
    assert metrics["closeness"]["efficientnet"]["diversity"] >= 0.7


@SHIPPED
def test_a_generator_makes_different_images_of_each_class(model: Path) -> None:
    generator = Generator.open(model)
    spec = generator.spec
    images = generator.images([n % len(spec.class_names) for n in range(100)], range(100))
    assert images.shape == (100, spec.image_size, spec.image_size, spec.channels)
    assert len(np.unique(images.reshape(100, -1), axis=0)) == 100


@SHIPPED
def test_an_image_does_not_depend_on_its_batch(model: Path) -> None:
    generator = Generator.open(model)
    labels, seeds = [n % len(generator.spec.class_names) for n in range(64)], range(64)
    together = generator.images(labels, seeds)
    for size in (1, 2, 3, 5, 8, 16):
        parts = [generator.images(labels[i : i + size], seeds[i : i + size]) for i in range(0, 64, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


@SHIPPED
def test_the_readme_tells_what_the_manifest_says(model: Path) -> None:
    metrics, readme = Artifact.open(model).manifest.metrics, (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith(f"| [`{model.name}`]"))
    real = metrics["basis"]["held_out_real"]
    distance, floor = (of["closeness"]["judge"]["frechet_distance"] for of in (metrics, real))
    assert f"| {distance / floor:.1f} x |" in row
    for quality in (metrics, real):
        for measure in ("gan_test", "gan_train"):
            assert f"{quality[measure]['accuracy']:.1%}".replace("%", " %") in row


def test_the_readmes_link_names_the_version_that_is_here() -> None:
    assert f"/v1/images/{Artifact.open(FASHION).manifest.id}/" in (ROOT / "README.md").read_text()


def test_fashion_has_directions_that_change_its_images() -> None:
    fashion = Generator.open(FASHION)
    directions = fashion.artifact.directions
    assert directions is not None
    assert directions.vectors.shape == (32, 64)
    assert 0.1 < directions.explained[0] < 0.5
    here, there = fashion.images(["Bag"], [7]), fashion.images(["Bag"], [7], directions={0: 4})
    assert np.abs(here.astype(int) - there).mean() > 5  # of 255


@pytest.fixture
def inversion() -> dict[str, Any]:
    """What was measured of fashion's encoder."""
    artifact = Artifact.open(FASHION)
    if artifact.encoder_file is None:
        pytest.skip("models/fashion has no encoder: `python -m training encoder` trains one")
    measured: dict[str, Any] = artifact.manifest.metrics["inversion"]
    return measured


def test_fashion_finds_its_own_images_as_well_as_promised(inversion: dict[str, Any]) -> None:
    fashion = Generator.open(FASHION)
    assert inversion["encoder"] == fashion.artifact.manifest.files[ENCODER]
    own, held_out = inversion["own"], inversion["held_out"]
    assert own["images"] == held_out["images"] == 1000
    assert own["class_found"] >= 0.95
    assert own["refine"] == held_out["refine"] == STEPS
    assert own["refined_error"] <= own["nearest_sample"] / 3
    assert own["error"] < own["nearest_sample"]
    labels = [n % 10 for n in range(40)]
    images = fashion.images(labels, range(4_000_000_000, 4_000_000_040))
    found = fashion.invert(images)
    assert np.mean(found.labels == labels) >= 0.9
    assert found.errors.mean() <= own["nearest_sample"] / 3
    assert fashion.invert(images, refine=0).errors.mean() == pytest.approx(own["error"], rel=0.25)


def test_an_image_is_encoded_the_same_in_any_batch(inversion: dict[str, Any]) -> None:
    fashion = Generator.open(FASHION)
    images = fashion.images([n % 10 for n in range(8)], range(8))
    together = fashion.encoder.encode(images)
    for place in range(8):
        alone = fashion.encoder.encode(images[place : place + 1])
        np.testing.assert_array_equal(alone.latent[0], together.latent[place])


def test_the_documentation_tells_what_the_manifest_says_of_inversions(
    inversion: dict[str, Any],
) -> None:
    text = (ROOT / "docs" / "latent-space.md").read_text()
    for part in (inversion["own"], inversion["held_out"]):
        for key in ("nearest_sample", "error", "refined_error"):
            assert f"{part[key]:.1f}" in text
        assert f"{part['class_found']:.1%}".replace("%", " %") in text
