from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from PIL import Image

from generator.pixels import Pixels, contact_sheet, enlarge
from service.encoding import Rendering, encode, negotiate, png
from service.errors import NotAcceptable
from service.recipes import Recipe
from service.requests import Format
from service.work import WorkItem


def recipe(seeds: Sequence[int]) -> Recipe:
    item = WorkItem(np.array([0, 1, 0], np.float32), tuple(seeds), truncation=0.5)
    return Recipe("x@1", ("a", "b", "c"), item)


LATENTS = Recipe(
    "x@1",
    ("a", "Ärmel", "c"),
    WorkItem(np.array([0, 0.25, 0.75], np.float32), latent=np.arange(4, dtype=np.float32).reshape(2, 2)),
)


def pictures(count: int, channels: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 9, 9, channels), dtype=np.uint8)


def decoded(content: bytes) -> Pixels:
    image = Image.open(io.BytesIO(content))
    image.load()
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (9, 9), (3, 200), (130, 7)])
def test_a_png_has_the_pixels_it_was_made_of(channels: int, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(png(image, b"{}")), image)


def text_of(content: bytes) -> dict[str, object]:
    image = Image.open(io.BytesIO(content))
    made_of: dict[str, object] = json.loads(image.info["mintage"])
    return made_of


def test_a_png_tells_what_made_it() -> None:
    images = pictures(2, 1)
    told = {"model": "x@1", "label": "b", "truncation": 0.5, "seed": 7}
    assert text_of(encode(images[:1], Rendering("png"), recipe([7]))) == told
    assert text_of(encode(images, Rendering("png"), recipe([7, 8]))) == {**told, "n": 2}
    with zipfile.ZipFile(io.BytesIO(encode(images, Rendering("zip"), recipe([7, 8])))) as archive:
        assert text_of(archive.read("8.png")) == {**told, "seed": 8}
    with zipfile.ZipFile(io.BytesIO(encode(images, Rendering("zip"), LATENTS))) as archive:
        made_of = text_of(archive.read("0001.png"))
    assert made_of["mix"] == {"Ärmel": 0.25, "c": 0.75}
    latent = base64.urlsafe_b64decode(str(made_of["latent"]) + "==")
    assert np.frombuffer(latent, "<f4").tolist() == [2, 3]


def test_quality_makes_smaller_and_lossy_files() -> None:
    images = pictures(1, 3)
    forms: tuple[Format, ...] = ("jpeg", "webp")
    for form in forms:
        high, low = (encode(images, Rendering(form, quality=q), recipe([0])) for q in (95, 20))
        assert len(low) < len(high)


@pytest.mark.parametrize("form", ["png", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_lossless_pictures_are_the_image_or_the_contact_sheet_enlarged(
    form: Format, channels: int, count: int
) -> None:
    images = pictures(count, channels)
    expected = enlarge(contact_sheet(images), 3)
    made = decoded(encode(images, Rendering(form, 3), recipe(range(count))))
    np.testing.assert_array_equal(np.broadcast_to(expected, made.shape), made)


def test_a_jpeg_is_near_to_its_pixels() -> None:
    smooth = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (1, 25, 1))[..., None]
    made = decoded(encode(smooth, Rendering("jpeg"), recipe([0]))).astype(int)
    assert np.abs(made - smooth[0]).max() < 12


def test_npy_holds_every_image() -> None:
    images = pictures(4, 3)
    made = np.load(io.BytesIO(encode(images, Rendering("npy", 2), recipe(range(4)))), allow_pickle=False)
    np.testing.assert_array_equal(made, enlarge(images, 2))


def test_json_holds_a_png_and_the_seed_of_each() -> None:
    images = pictures(2, 1)
    reply = msgspec.json.decode(encode(images, Rendering("json"), recipe([5, 6])))
    assert reply["model"] == "x@1"
    assert [entry["seed"] for entry in reply["images"]] == [5, 6]
    np.testing.assert_array_equal(decoded(base64.b64decode(reply["images"][1]["b64_png"])), images[1])


@pytest.mark.parametrize(
    ("made_of", "names"), [(recipe([8, 9]), ["8.png", "9.png"]), (LATENTS, ["0000.png", "0001.png"])]
)
def test_a_zip_holds_one_png_each(made_of: Recipe, names: list[str]) -> None:
    images = pictures(2, 3)
    content = encode(images, Rendering("zip"), made_of)
    assert content == encode(images, Rendering("zip"), made_of)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == names
        np.testing.assert_array_equal(decoded(archive.read(names[1])), images[1])


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "png"),
        ("", "png"),
        ("image/*", "png"),
        ("application/json", "json"),
        ("APPLICATION/JSON ; q=0.5", "json"),
        ("image/png;q=0.5, image/webp", "webp"),
        ("image/png;q=0, */*", "webp"),
        ("image/*;q=0.1, application/x-npy;q=0.2", "npy"),
        ("text/html, application/zip;q=0.9", "zip"),
        ("text/html,application/xhtml+xml,image/avif,image/webp,image/apng,*/*;q=0.8", "webp"),
        ("application/json, image/png", "png"),
    ],
)
def test_the_form_is_what_the_client_likes_best(accept: str, form: str) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/png;q=0", "*/*;q=0", "image/png;q=x"])
def test_a_client_that_accepts_nothing_there_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="image/png, image/webp"):
        negotiate(accept)
