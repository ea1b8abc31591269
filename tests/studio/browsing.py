"""A real browser, Debian's Chromium, and what the tests need to know of the page in it."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wide": (1920, 1080)}
PATIENCE_MS = 15_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PIXELS = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
        .getContext("2d", {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height);
    return {width: canvas.width, values: Array.from(pixels.data)};
}"""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Skips the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: make browser installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Studio:
    """The page, and everything that it asked for and complained of."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)

    def watch(self) -> None:
        page = self.page
        page.on("console", lambda line: self.errors.append(line.text) if line.type != "log" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.sockets.append(socket.url))

    def until(self, expression: str, argument: Any = None) -> None:
        """Waits until it is true. Asked from outside: the page forbids the eval of `wait_for_function`."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(expression, argument):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(20)

    def open(self, state: str = "") -> None:
        """The page at a state, which is written as in the address bar; until its image is there."""
        self.page.goto(f"{self.url}/#{state}")
        self.settled()

    def settled(self) -> str:
        """The state in the address bar, when the image on the stage and the link below are that state's."""
        self.until(
            "location.hash && ['image', 'link'].every("
            "id => document.getElementById(id).dataset.shown === location.hash.slice(1))"
        )
        return str(urlsplit(self.page.url).fragment)

    def becomes(self, part: str) -> str:
        """Waits until the address bar has `part`, and the image is that of it."""
        self.until("part => decodeURIComponent(location.hash).includes(part)", part)
        return self.settled()

    def image(self) -> npt.NDArray[np.uint8]:
        """What is on the stage, uint8 [H, W, 3]."""
        shown = self.page.locator("#image").evaluate(PIXELS)
        return np.array(shown["values"], np.uint8).reshape(-1, shown["width"], 4)[..., :3]

    def foreign(self) -> list[str]:
        """What was asked of another host than the server's."""
        asked = [*self.requests, *self.sockets]
        return [url for url in asked if urlsplit(url).netloc not in ("", urlsplit(self.url).netloc)]


@contextmanager
def at_the_studio(browser: Browser, url: str, size: str = "laptop", **options: Any) -> Iterator[Studio]:
    """The studio, at one of SIZES. Afterwards it must have asked nobody else, and complained of nothing."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    studio = Studio(context.new_page(), url)
    studio.page.set_default_timeout(PATIENCE_MS)
    studio.watch()
    yield studio
    context.close()
    assert studio.foreign() == []
    assert not studio.errors, studio.errors


def served(url: str, **fields: Any) -> npt.NDArray[np.uint8]:
    """The image of a request, uint8 [H, W, 3]."""
    reply = httpx.post(f"{url}/v1/images", json={**fields, "format": "npy"})
    image = np.load(io.BytesIO(reply.content))[0]
    return np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[2] == 1 else image
