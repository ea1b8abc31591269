from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator import Generator
from generator.__main__ import main, parse_seeds
from generator.latents import latents


@pytest.fixture(scope="module")
def generator(grey: Path) -> Generator:
    return Generator.open(grey)


def test_images_are_finished_pixels_in_the_datas_size(generator: Generator, rgb: Path) -> None:
    images = generator.images(labels=["Bag", 0], seeds=[7, 7])
    assert images.dtype == np.uint8
    assert images.shape == (2, 14, 14, 1)
    assert len(np.unique(images)) > 20
    assert Generator.open(rgb).images(["dog"], [1]).shape == (1, 16, 16, 3)


@pytest.mark.parametrize("model", ["grey", "rgb", "grey_of_an_earlier_version"])
def test_an_image_does_not_depend_on_its_batch(model: str, request: pytest.FixtureRequest) -> None:
    generator = Generator.open(request.getfixturevalue(model))
    labels, seeds = [n % generator.spec.num_classes for n in range(150)], range(150)
    together = generator.images(labels, seeds)
    for size in (1, 2, 3, 5, 8, 16, 64):
        parts = [generator.images(labels[i : i + size], seeds[i : i + size]) for i in range(0, 150, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_the_graph_for_cpus_makes_what_the_other_makes_under_a_key_of_its_own(
    generator: Generator, grey_of_an_earlier_version: Path
) -> None:
    other = Generator.open(grey_of_an_earlier_version)
    assert other.artifact.cpu_onnx_file is None
    assert "with generator.onnx" in other.engine.choice
    assert "with generator.cpu.onnx" in generator.engine.choice
    assert other.engine.key != generator.engine.key
    labels, seeds = [n % 3 for n in range(64)], range(64)
    steps = generator.images(labels, seeds).astype(int) - other.images(labels, seeds)
    assert np.abs(steps).max() <= 1


def test_label_seed_and_truncation_each_change_the_image(generator: Generator) -> None:
    base = generator.images(["Bag"], [7])
    assert not np.array_equal(base, generator.images(["Ankle boot"], [7]))
    assert not np.array_equal(base, generator.images(["Bag"], [8]))
    assert not np.array_equal(base, generator.images(["Bag"], [7], truncation=0.3))


def test_images_from_latents_are_those_of_their_seeds(generator: Generator) -> None:
    made = generator.images_from(latents(range(70), 5), generator.spec.class_vectors([1] * 70))
    np.testing.assert_array_equal(made, generator.images([1] * 70, range(70)))


def test_no_images_are_an_empty_array(generator: Generator) -> None:
    assert generator.images([], []).shape == (0, 14, 14, 1)


def test_labels_and_seeds_of_two_lengths_are_refused(generator: Generator) -> None:
    with pytest.raises(ValueError, match="2 labels for 1 seeds"):
        generator.images([0, 1], [5])


def test_seed_ranges_are_read() -> None:
    assert parse_seeds("7,0-2") == [range(3), range(7, 8)]
    assert parse_seeds("0-4,3,5,4-6") == [range(7)]


def test_ten_thousand_images_are_each_made_once(grey: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    labels = ["--label", "bag", "--label", "1", "--label", "Bag"]
    assert main([str(grey), *labels, "--seeds", "0-9999,5-6", "--out", str(out)]) == 0
    with np.load(out) as stored:
        assert stored["images"].shape == (10_000, 14, 14, 1)
        assert stored["seeds"].tolist() == list(range(10_000))
        np.testing.assert_array_equal(
            stored["images"][4321:4325], Generator.open(grey).images([1] * 4, range(4321, 4325))
        )


@pytest.mark.parametrize("name", ["images", "images.npz", "images.tar"])
def test_the_command_writes_each_seed_of_each_label(
    generator: Generator, grey: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    arguments = [str(grey), "--label", "bag", "--label", "2", "--seeds", "5-9", "--out", str(out)]
    assert main(arguments) == 0
    expected = generator.images([1] * 5 + [2] * 5, list(range(5, 10)) * 2)
    files = [f"{slug}/{seed}.png" for slug in ("bag", "ankle-boot") for seed in range(5, 10)]
    if name.endswith(".npz"):
        with np.load(out) as stored:
            images = stored["images"]
            assert stored["labels"].tolist() == [1] * 5 + [2] * 5
            assert stored["seeds"].tolist() == list(range(5, 10)) * 2
            assert stored["class_names"][1] == "Bag"
    elif name.endswith(".tar"):
        with tarfile.open(out) as tar:
            assert tar.getnames() == files
            pictures = [Image.open(tar.extractfile(file)) for file in files]  # type: ignore[arg-type]
            images = np.stack([np.asarray(picture)[..., None] for picture in pictures])
    else:
        images = np.stack([np.asarray(Image.open(out / file))[..., None] for file in files])
    np.testing.assert_array_equal(images, expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--label", "Hat"], "label 'Hat' is not a class: use 0..2"),
        (["--label", "0", "--truncation", "-2"], "truncation -2.0"),
    ],
)
def test_a_wrong_option_leaves_nothing_behind(
    grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main([str(grey), "--out", str(tmp_path / "out"), *change]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(grey: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    out.write_text("precious")
    assert main([str(grey), "--label", "0", "--out", str(out)]) == 2
    assert out.read_text() == "precious"


@pytest.mark.parametrize("seeds", ["", "x", "-1", "5-2", "4294967296", "1-2-3"])
def test_senseless_seeds_are_refused(grey: Path, tmp_path: Path, seeds: str) -> None:
    with pytest.raises(SystemExit):
        main([str(grey), "--label", "0", f"--seeds={seeds}", "--out", str(tmp_path / "x")])


def test_a_way_leads_from_keyframe_to_keyframe(generator: Generator) -> None:
    frames = generator.interpolate(["Bag", 0, 2], [7, 8, 9], frames=100)
    assert frames.shape == (100, 14, 14, 1)
    keyframes = generator.images(["Bag", 0, 2], [7, 8, 9])
    np.testing.assert_array_equal(frames[[0, 99]], keyframes[[0, 2]])
    assert any((frame == keyframes[1]).all() for frame in frames[1:99])
    loop = generator.interpolate(["Bag", 0], [7, 8], frames=20, loop=True, method="nlerp", truncation=0.5)
    np.testing.assert_array_equal(loop[0], generator.images(["Bag"], [7], truncation=0.5)[0])
    assert not (loop[0] == loop[-1]).all()


def test_variations_are_the_image_at_strength_0_and_others_at_1(generator: Generator) -> None:
    image = generator.images(["Bag"], [7])
    np.testing.assert_array_equal(generator.variations("Bag", 7, 0, 3), np.concatenate([image] * 3))
    away = generator.variations("Bag", 7, 1, 3, variation_seed=4)
    assert len(np.unique(np.concatenate([image, away]).reshape(4, -1), axis=0)) == 4
    np.testing.assert_array_equal(away[1], generator.variations("Bag", 7, 1, 1, variation_seed=5)[0])


def test_a_grid_is_every_label_with_every_seed(generator: Generator) -> None:
    grid = generator.grid(["Bag", 0], [7, 8, 9])
    assert grid.shape == (2, 3, 14, 14, 1)
    np.testing.assert_array_equal(grid[1, 2], generator.images([0], [9])[0])
