"""Every script of examples/ as its users run it: a process of its own, against a real server."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from generator import Generator
from generator.pixels import Pixels, enlarge
from generator.sheets import labelled_sheet
from tests.service.test_server import serving
from training.config import TrainConfig
from training.data import load_dataset

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KEY = "a-key-of-the-examples-0123"


@pytest.fixture(scope="module")
def server(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that wants a key, as others' servers do."""
    with serving(tmp_path_factory.mktemp("home"), models=models_folder, api_keys=KEY) as (url, _):
        yield url


@pytest.fixture
def ended(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script in a folder of its own, to its end."""

    def run_script(script: str, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, EXAMPLES / script, *map(str, options)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "EXAMPLES_KEY": KEY, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_script


@pytest.fixture
def run(ended: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """Runs a script; what it printed."""

    def run_script(script: str, *options: object, **environment: str) -> str:
        done = ended(script, *options, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_script


@pytest.fixture
def refusal(ended: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """Runs a script that cannot do what it is asked for; the one line that it says to that."""

    def run_script(script: str, *options: object, **environment: str) -> str:
        done = ended(script, *options, **environment)
        assert done.returncode == 1, done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr

    return run_script


def pixels(file: Path) -> Pixels:
    """A grey picture, uint8 [H, W, 1]."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("L"))[..., None]


def row_of(images: Pixels) -> Pixels:
    """[N, H, W, C] -> [H, N * W, C]."""
    return np.concatenate(list(images), axis=1)


def test_images_writes_the_generators_pixels_and_a_training_set(
    server: str, run: Callable[..., str], grey: Path, tmp_path: Path
) -> None:
    told = run("images.py", "--each", 40, "--out", tmp_path, EXAMPLES_URL=server)
    generator = Generator.open(grey)
    one = generator.images([0], [7])
    np.testing.assert_array_equal(pixels(tmp_path / "one.png"), enlarge(one[0], 8))
    link = next(word for word in told.split() if word.endswith("/0/7.png?scale=8"))
    assert f"{link} is the same file" in told
    assert "uint8 (64, 14, 14, 1)" in told

    data = load_dataset(TrainConfig(data=str(tmp_path / "many.npz")))
    assert data.class_names == generator.spec.class_names
    np.testing.assert_array_equal(data.labels, np.repeat(range(3), 40))
    expected = generator.images(data.labels.tolist(), [*range(40)] * 3)
    np.testing.assert_array_equal(data.images, expected)


def test_images_waits_as_long_as_a_server_at_its_limit_says(
    models_folder: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    limits: dict[str, Any] = {
        "api_keys": KEY,
        "rate_images_per_s": 200,
        "rate_burst_images": 150,
        "access_log": log,
    }
    with serving(tmp_path, models=models_folder, **limits) as (url, _):
        run("images.py", "--url", url, "--each", 150, "--out", tmp_path)
    statuses = [json.loads(line)["status"] for line in log.read_text().splitlines()]
    assert 429 in statuses
    assert len(load_dataset(TrainConfig(data=str(tmp_path / "many.npz"))).labels) == 450


def test_the_openai_package_gets_the_generators_pixels_and_a_link_to_more(
    server: str, run: Callable[..., str], grey: Path, tmp_path: Path
) -> None:
    told = run("openai_client.py", "--url", server, "--out", tmp_path)
    for seed in (7, 8, 9):
        expected = enlarge(Generator.open(grey).images(["Ankle boot"], [seed])[0], 8)
        np.testing.assert_array_equal(pixels(tmp_path / f"ankle-boot-{seed}.png"), expected)
    link = re.search(rf"{server}/\S+", told)
    assert link
    assert httpx.get(link[0], headers={"X-API-Key": KEY}).headers["content-type"] == "image/png"
    assert "refused: " in told
    assert "T-shirt/top" in told.split("refused: ")[1]


def test_tritonclient_gets_the_generators_pixels(
    server: str, run: Callable[..., str], grey: Path, tmp_path: Path
) -> None:
    run("triton_client.py", "--url", server, "--out", tmp_path)
    generator = Generator.open(grey)
    expected = generator.images([0, 1] * 4, range(8))
    np.testing.assert_array_equal(pixels(tmp_path / "by-label.png"), row_of(expected))

    shares = np.linspace(0, 1, 8, dtype=np.float32)
    mix = np.stack([1 - shares, shares, 0 * shares], axis=1)
    latent = np.random.default_rng(7).standard_normal((1, 5), np.float32).repeat(8, axis=0)
    np.testing.assert_array_equal(
        pixels(tmp_path / "mixtures.png"), row_of(generator.images_from(latent, mix))
    )


def test_a_morph_goes_through_the_classes_themselves(
    server: str, run: Callable[..., str], grey: Path, tmp_path: Path
) -> None:
    told = run(
        "morph.py", "Bag", "Ankle boot", "T-shirt/top", "--url", server, "--out", tmp_path, "--seed", 5
    )
    expected = enlarge(Generator.open(grey).images(["Bag", "Ankle boot", "T-shirt/top"], [5, 6, 7]), 4)
    places = [int(place) for place in re.findall(r"\d+", told.split("are frames ")[1])]
    assert len(places) == 3
    with Image.open(tmp_path / "morph.gif") as film:
        assert getattr(film, "n_frames", 1) == 90
        assert film.info["loop"] == 0
        for place, keyframe in zip(places, expected, strict=True):
            film.seek(place)
            np.testing.assert_array_equal(np.asarray(film.convert("L"))[..., None], keyframe)


def test_all_classes_are_the_morph_of_who_names_none(
    server: str, run: Callable[..., str], tmp_path: Path
) -> None:
    assert "90 frames" in run("morph.py", "--url", server, "--out", tmp_path)


def test_a_stream_ends_with_the_place_where_the_hand_is(
    server: str, run: Callable[..., str], grey: Path, tmp_path: Path
) -> None:
    told = run("stream.py", "--url", server, "--out", tmp_path)
    frames = re.search(r"400 places, (\d+) frames", told)
    assert frames
    assert 1 < int(frames[1]) <= 401
    expected = enlarge(Generator.open(grey).images([0], [7], directions={0: 5})[0], 4)
    with Image.open(tmp_path / "stream.gif") as film:
        film.seek(getattr(film, "n_frames", 1) - 1)
        np.testing.assert_array_equal(np.asarray(film.convert("L"))[..., None], expected)


def test_in_process_draws_the_generators_images(run: Callable[..., str], grey: Path, tmp_path: Path) -> None:
    run("in_process.py", "--model", grey, "--out", tmp_path / "a")
    names = {"seeds", "grid", "morphs", "variations", "directions"}
    assert {file.name for file in (tmp_path / "a").iterdir()} == {f"{name}.png" for name in names}
    generator = Generator.open(grey)
    every = generator.grid(generator.spec.class_names, range(12)).reshape(-1, 14, 14, 1)
    sheet = labelled_sheet(enlarge(every, 2), generator.spec.class_names)
    with Image.open(tmp_path / "a" / "grid.png") as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(sheet))


@pytest.fixture
def data(grey: Path, tmp_path: Path) -> Path:
    """Images of the generator as if they were real ones, 40 of each class; one that is spelled otherwise."""
    generator, labels = Generator.open(grey), np.arange(3).repeat(40)
    names = ["T - shirt / top", *generator.spec.class_names[1:]]
    images = generator.images(labels.tolist(), range(1_000_000, 1_000_120))
    np.savez(tmp_path / "data.npz", images=images, labels=labels, class_names=names)
    return tmp_path / "data.npz"


def test_augmentation_measures_what_generated_images_bring(
    run: Callable[..., str], grey: Path, data: Path
) -> None:
    few = ("--real", 2, "all", "--seeds", 2, "--steps", 40)
    told = run("augmentation.py", "--data", data, "--model", grey, *few, OMP_NUM_THREADS="1")
    assert "2 real a class" in told
    assert "all 100" in told  # a sixth is held out
    table = {line.split("│")[1].strip(): line for line in told.splitlines() if "% generated" in line}
    assert len(table) == 5
    means = {name: float(re.findall(r"[\d.]+", line.split("│")[2])[0]) for name, line in table.items()}
    assert means["80% generated"] > means["0% generated"]  # the "real" images are the generator's
    alone = re.search(r"no real one: ([\d.]+)", told)
    assert alone
    assert float(alone[1]) > 80


def test_augmentation_wants_the_generators_classes(
    refusal: Callable[..., str], grey: Path, data: Path, tmp_path: Path
) -> None:
    with np.load(data) as stored:
        np.savez(
            tmp_path / "other.npz", images=stored["images"], labels=stored["labels"], class_names=list("abc")
        )
    said = refusal("augmentation.py", "--data", tmp_path / "other.npz", "--model", grey)
    assert "has the classes ('a', 'b', 'c'), the generator ('T-shirt/top'" in said


def _emoji_package(file: Path, vendor: str) -> None:
    """Laid out like the packages of npm: two groups and bare skin tones, one image with a variation."""
    emoji = [
        {"image": "1f600.png", "category": "Smileys & Emotion"},
        {
            "image": "1f44b.png", "category": "People & Body",
            "skin_variations": {"1F3FB": {"image": "1f44b-1f3fb.png"}},
        },
        {"image": "1f3fb.png", "category": "Component"},
    ]  # fmt: skip
    png = io.BytesIO()
    half = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    half.paste((200, 0, 0, 255), (0, 0, 32, 64))
    half.save(png, "PNG")
    names = ["1f600.png", "1f44b.png", "1f44b-1f3fb.png", "1f3fb.png"]
    contents = {f"img/{vendor}/64/{name}": png.getvalue() for name in names}
    with tarfile.open(file, "w:gz") as archive:
        for name, content in {"emoji.json": json.dumps(emoji).encode(), **contents}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_emoji_of_both_vendors_become_class_folders_on_white(run: Callable[..., str], tmp_path: Path) -> None:
    packages = [tmp_path / f"emoji-datasource-{vendor}.tgz" for vendor in ("google", "twitter")]
    for package in packages:
        _emoji_package(package, package.stem.split("-")[-1])
    run("emoji_images.py", *packages, "--out", tmp_path / "emoji")
    dataset = load_dataset(TrainConfig(data=str(tmp_path / "emoji")))
    assert dataset.class_names == ("People & Body", "Smileys & Emotion")  # no skin tones
    assert np.bincount(dataset.labels).tolist() == [4, 2]
    assert dataset.images.shape == (6, 64, 64, 3)
    assert dataset.images[0, 0, 0].tolist() == [200, 0, 0]
    assert dataset.images[0, 0, 63].tolist() == [255, 255, 255]  # where it was transparent


@pytest.mark.parametrize("what", ["another archive", "a broken download", "no archive"])
def test_what_is_no_package_of_emoji_is_told_and_nothing_is_written(
    what: str, refusal: Callable[..., str], tmp_path: Path
) -> None:
    good, other = tmp_path / "emoji-datasource-google.tgz", tmp_path / "other.tgz"
    _emoji_package(good, "google")
    if what == "another archive":
        with tarfile.open(other, "w:gz"):
            pass
    else:
        other.write_bytes(good.read_bytes()[:-200] if what == "a broken download" else b"no archive")
    said = refusal("emoji_images.py", good, other, "--out", tmp_path / "emoji")
    assert "other.tgz" in said
    assert "emoji-datasource-*.tgz" in said
    assert not (tmp_path / "emoji").exists()


@pytest.mark.parametrize(
    "script", ["images.py", "morph.py", "stream.py", "openai_client.py", "triton_client.py"]
)
def test_where_no_server_is_a_script_tells_how_to_get_one(
    script: str, refusal: Callable[..., str], tmp_path: Path
) -> None:
    with socket.socket() as taken:  # and not listened at
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(script, "--url", url, "--out", tmp_path)
    assert url in said
    assert "make serve" in said


@pytest.mark.parametrize(
    "script", ["images.py", "morph.py", "stream.py", "openai_client.py", "triton_client.py"]
)
def test_a_wrong_key_is_told_as_such(
    script: str, server: str, refusal: Callable[..., str], tmp_path: Path
) -> None:
    assert "401" in refusal(script, "--url", server, "--out", tmp_path, EXAMPLES_KEY="another")


def test_a_class_that_is_not_there_is_told_with_those_that_are(
    server: str, refusal: Callable[..., str], tmp_path: Path
) -> None:
    said = refusal("morph.py", "Bag", "Hat", "--url", server, "--out", tmp_path)
    assert "'Hat'" in said
    assert "T-shirt/top" in said
    assert not (tmp_path / "morph.gif").exists()


def test_a_folder_that_is_no_generator_is_told_as_such(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert str(tmp_path) in refusal("in_process.py", "--model", tmp_path, "--out", tmp_path)
