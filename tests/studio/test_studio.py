"""Laws of the studio, in a real browser on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, expect

from tests.service.test_server import serving
from tests.studio.browsing import SIZES, Studio, a_browser, at_the_studio, served

KEY = "first-key-0123456789"
BAG = "model=grey&class=bag&seed=7"
DROP_TEXT = """() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["none"], "x.png", { type: "image/png" }));
    dispatchEvent(new DragEvent("drop", { dataTransfer }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as one:
        yield one


@pytest.fixture(scope="module")
def server(browser: Browser, models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("home"), models=models_folder) as (url, _):
        yield url


@pytest.fixture
def studio(browser: Browser, server: str) -> Iterator[Studio]:
    with at_the_studio(browser, server) as one:
        yield one


def test_a_link_shows_its_image(studio: Studio) -> None:
    studio.open("model=rgb&mix=cat:0.25,dog:0.75&seed=9&truncation=0.5&directions=0:1.5,1:-2")
    recipe = {"mix": {"cat": 0.25, "dog": 0.75}, "seed": 9, "truncation": 0.5}
    expected = served(studio.url, model="rgb", **recipe, directions={"0": 1.5, "1": -2})
    np.testing.assert_array_equal(studio.image(), expected)
    expect(studio.page.locator("#title")).to_have_text("75 % dog, 25 % cat")
    assert any(url.endswith("/v1/stream") for url in studio.sockets)


@pytest.mark.parametrize("address", [
    "model=none&class=hat&seed=-5&truncation=x&directions=99:1,0:y&mix=:",
    "class=bag&truncation=20&directions=0:50,-1:1,0.5:2&mix=bag:1e9",
    *(f"class=bag&latent={latent}" for latent in ("abc", "A", "AAAAAAAA", "_" * 27)),
])  # fmt: skip
def test_an_address_that_makes_no_sense_shows_something_all_the_same(studio: Studio, address: str) -> None:
    studio.page.goto(f"{studio.url}/#{address}")
    studio.settled()
    assert studio.image().std() > 0
    expect(studio.page.locator("#problem")).to_be_hidden()


def test_a_class_is_picked_and_the_address_brings_it_back(studio: Studio) -> None:
    studio.open(BAG)
    studio.page.get_by_role("button", name="Ankle boot", exact=True).click()
    state = studio.becomes("class=ankle-boot")
    picked = studio.image()
    np.testing.assert_array_equal(picked, served(studio.url, model="grey", label="Ankle boot", seed=7))
    studio.page.reload()
    assert studio.settled() == state
    np.testing.assert_array_equal(studio.image(), picked)


def test_two_classes_mix_by_their_sliders(studio: Studio) -> None:
    studio.open(BAG)
    studio.page.get_by_role("radio", name="Mix").check()
    studio.becomes("mix=bag:0.5,ankle-boot:0.5")
    studio.page.get_by_label("Ankle boot", exact=True).fill("0.1")
    studio.becomes("ankle-boot:0.1")
    mix = {"Bag": 0.5, "Ankle boot": 0.1}
    np.testing.assert_array_equal(studio.image(), served(studio.url, model="grey", mix=mix, seed=7))
    studio.page.get_by_role("radio", name="One", exact=True).check()
    studio.becomes("class=bag")


def test_the_pointer_on_the_pad_moves_the_image(studio: Studio) -> None:
    studio.open(BAG)
    before = studio.image()
    pad = studio.page.locator("#pad").bounding_box()
    assert pad is not None
    x, y = pad["x"] + pad["width"] / 2, pad["y"] + pad["height"] / 2
    studio.page.mouse.move(x, y)
    studio.page.mouse.down()
    studio.page.mouse.move(x + pad["width"] / 4, y - pad["height"] / 8, steps=12)
    studio.page.mouse.up()
    state = studio.becomes("directions=0:")
    moved = {index: float(amount) for index, amount in re.findall(r"(\d+):([-.\d]+)", state)}
    assert moved["0"] > 1
    assert 0.4 < moved["1"] < moved["0"]
    expected = served(studio.url, model="grey", label="Bag", seed=7, directions=moved)
    np.testing.assert_array_equal(studio.image(), expected)
    assert not np.array_equal(expected, before)
    rates = studio.page.locator("#t-engine")
    expect(rates).to_have_text(re.compile(r"^[\d.]+ ms$"))
    studio.page.get_by_role("button", name="Centre").click()
    studio.until("!location.hash.includes('directions')")
    studio.settled()
    np.testing.assert_array_equal(studio.image(), before)


def test_the_seed_box_takes_seeds_and_nothing_else(studio: Studio) -> None:
    studio.open(BAG)
    box = studio.page.get_by_label("Seed", exact=True)
    box.fill("4294967295")
    studio.becomes("seed=4294967295")
    studio.page.get_by_role("button", name="Next seed").click()
    studio.becomes("seed=0")
    box.fill("4294967296")
    expect(box).to_have_attribute("aria-invalid", "true")
    assert "seed=0" in studio.settled()
    studio.page.get_by_role("button", name="Throw the dice").click()
    studio.until("!location.hash.endsWith('seed=0')")
    studio.settled()
    expect(box).to_have_attribute("aria-invalid", "false")


def test_the_wall_opens_what_is_clicked(studio: Studio) -> None:
    studio.open(BAG)
    studio.page.locator("#wall-title").scroll_into_view_if_needed()
    cell = studio.page.get_by_role("button", name="Ankle boot, seed 3", exact=True)
    cell.scroll_into_view_if_needed()
    studio.until("e => e.querySelector('canvas').width > 1", cell.element_handle())
    cell.click()
    studio.becomes("class=ankle-boot&seed=3")
    np.testing.assert_array_equal(
        studio.image(), served(studio.url, model="grey", label="Ankle boot", seed=3)
    )


def test_a_morph_is_collected_played_and_downloaded(studio: Studio, tmp_path: Path) -> None:
    studio.open(BAG)
    keep = studio.page.get_by_role("button", name="Add to morph")
    keep.click()
    studio.page.get_by_role("button", name="T-shirt/top", exact=True).click()
    studio.becomes("class=t-shirt-top")
    keep.click()
    assert studio.page.get_by_role("button", name=re.compile("^Keyframe")).count() == 2
    studio.page.get_by_label("Frames", exact=True).fill("12")
    studio.page.get_by_role("button", name="Play").dblclick()
    movie = studio.page.locator("#movie")
    expect(movie).to_be_visible()
    studio.until("document.getElementById('movie').naturalWidth > 0")
    assert len([url for url in studio.requests if url.endswith("/v1/interpolations")]) == 1
    for form in ("GIF", "WebP"):
        with studio.page.expect_download() as download:
            studio.page.get_by_role("button", name=form, exact=True).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        with Image.open(file) as film:
            assert getattr(film, "n_frames", 1) == 12
            scale = film.width // 14
            first = np.asarray(film.convert("RGB"))[::scale, ::scale]
        np.testing.assert_array_equal(first, served(studio.url, model="grey", label="Bag", seed=7))


def test_what_is_wrong_is_seen_from_anywhere_on_the_page(studio: Studio) -> None:
    studio.open(BAG)
    for _ in range(2):
        studio.page.get_by_role("button", name="Add to morph").click()
    studio.page.get_by_label("Frames", exact=True).fill("1")
    studio.page.get_by_role("button", name="Play").click()
    problem = studio.page.locator("#problem")
    expect(problem).to_contain_text("frames 1")
    expect(problem).to_be_in_viewport()
    (told,) = studio.errors  # by the browser itself
    assert "422" in told
    studio.errors.clear()
    studio.page.route("**/v1/images", lambda route: route.abort())
    studio.page.get_by_role("button", name="PNG").click()
    expect(problem).to_have_text("The server cannot be reached.")
    studio.page.get_by_role("button", name="Later seeds").click()
    expect(studio.page.locator("#wall-note")).to_contain_text("The server cannot be reached.")
    assert all("ERR_FAILED" in error for error in studio.errors)
    studio.errors.clear()


def test_a_button_that_says_copied_has_its_name_again(studio: Studio) -> None:
    studio.open(BAG)
    button = studio.page.locator("#share")
    for _ in range(2):
        button.click()
        expect(button).not_to_have_text("Copy link")
    expect(button).to_have_text("Copy link")


def test_the_link_and_the_line_for_the_shell_make_the_image_on_the_stage(studio: Studio) -> None:
    studio.open("model=grey&mix=bag:0.5,t-shirt-top:1&seed=7&truncation=1.5&directions=0:1")
    page = studio.page
    link = page.locator("#link").inner_text()
    reply = httpx.get(link)
    assert reply.headers["cache-control"].endswith("immutable")
    line = re.search(r"-d '(.*)' -o", page.locator("#curl").inner_text())
    assert line is not None
    headers = {"content-type": "application/json"}
    posted = httpx.post(f"{studio.url}/v1/images", content=line[1], headers=headers)
    assert posted.content == reply.content


def test_keys_of_the_keyboard_are_enough(studio: Studio) -> None:
    studio.open(BAG)
    keyboard = studio.page.keyboard

    def to(name: str) -> None:
        for _ in range(60):
            keyboard.press("Tab")
            focused = "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
            if studio.page.evaluate(f"({focused})(document.activeElement)").strip() == name:
                return
        raise AssertionError(f"Tab never came to {name}")

    to("Ankle boot")
    keyboard.press("Enter")
    studio.becomes("class=ankle-boot")
    to("Seed")
    keyboard.press("Control+a")
    keyboard.type("12")
    studio.becomes("seed=12")
    to("Throw the dice")
    to("Truncation")
    keyboard.press("ArrowLeft")
    studio.becomes("truncation=2.95")
    to("Add to morph")
    keyboard.press("Space")
    to("Pad over two directions")
    keyboard.press("ArrowRight")
    keyboard.press("Shift+ArrowUp")
    studio.becomes("directions=0:0.1,1:0.5")
    keyboard.press("Home")
    studio.until("!location.hash.includes('directions')")


def test_everything_that_can_be_touched_has_a_name(studio: Studio) -> None:
    studio.open(BAG)
    touched = studio.page.locator("button, input, select, [tabindex='0']").filter(visible=True)
    names = touched.evaluate_all(
        "all => all.map(e => [e.outerHTML.slice(0, 80),"
        " e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent])"
    )
    assert len(names) > 20
    assert [html for html, name in names if not name.strip()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_window(browser: Browser, server: str, size: str, scheme: str) -> None:
    with at_the_studio(browser, server, size, color_scheme=scheme) as studio:
        studio.open(BAG)
        width = studio.page.evaluate("document.documentElement.scrollWidth")
        assert width <= SIZES[size][0]
        image = studio.page.locator("#image").bounding_box()
        assert image is not None
        assert image["y"] + image["height"] <= SIZES[size][1]
        assert image["width"] >= 0.5 * min(SIZES[size])
        assert (
            image["width"] * studio.page.evaluate("devicePixelRatio")
        ) % 14 == 0  # no pixel wider than others


def test_an_image_that_is_given_is_found_in_latent_space(
    browser: Browser, models_with_encoders: Path, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, models=models_with_encoders) as (url, _),
        at_the_studio(browser, url) as studio,
    ):
        studio.open(BAG)
        buttons = studio.page.locator(".actions").bounding_box()
        assert buttons is not None
        assert buttons["y"] + buttons["height"] <= SIZES["laptop"][1]
        recipe = {"model": "grey", "label": "Ankle boot", "seed": 3, "scale": 2}
        content = httpx.post(f"{url}/v1/images", json=recipe).content
        upload = FilePayload(name="boot.png", mimeType="image/png", buffer=content)
        studio.page.locator("#file").set_input_files(upload)
        state = studio.becomes("latent=")
        ask: dict[str, Any] = {"params": {"model": "grey"}, "headers": {"content-type": "image/png"}}
        found = httpx.post(f"{url}/v1/inversions", content=content, **ask).json()
        assert f"class={found['permalink'].split('/')[4]}" in state
        expected = served(url, model="grey", label=found["label"], latent=found["latent"])
        np.testing.assert_array_equal(studio.image(), expected)
        expect(studio.page.locator("#legend")).to_have_text(f"found, {found['error']:.1f} of 255 off")
        studio.page.evaluate(DROP_TEXT)
        expect(studio.page.locator("#problem")).to_contain_text("no PNG, JPEG or WebP")
        (told,) = studio.errors  # by the browser itself
        assert "415" in told
        studio.errors.clear()


def test_with_keys_on_it_asks_for_one_and_keeps_it_in_the_tab(
    browser: Browser, models_folder: Path, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, models=models_folder, api_keys=KEY) as (url, _),
        at_the_studio(browser, url) as studio,
    ):
        studio.page.goto(f"{url}/#{BAG}")
        studio.page.get_by_label("API key").fill(KEY)
        studio.page.get_by_role("button", name="Enter").click()
        studio.settled()
        assert studio.page.request.get(f"{url}/v1/models").status == 401  # no cookie
        assert studio.image().std() > 0
        studio.page.reload()
        studio.settled()
        assert KEY not in studio.page.url + "".join(studio.requests + studio.sockets)
        assert studio.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert "$KEY" in studio.page.locator("#curl").inner_text()


def test_where_no_stream_can_be_had_single_requests_do(
    browser: Browser, models_folder: Path, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, models=models_folder, max_streams=0) as (url, _),
        at_the_studio(browser, url) as studio,
    ):
        studio.page.goto(f"{url}/#{BAG}")
        studio.settled()
        expect(studio.page.locator("#pulse-text")).to_have_text("by single requests")
        np.testing.assert_array_equal(studio.image(), served(url, model="grey", label="Bag", seed=7))
        studio.page.get_by_role("button", name="T-shirt/top", exact=True).click()
        studio.becomes("class=t-shirt-top")
        refused = [error for error in studio.errors if "v1/stream" in error and "429" in error]
        assert refused == studio.errors  # which the browser itself tells
        studio.errors.clear()
