"""Laws of how the studio's files are served."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.routes.studio import FOLDER, files

KEY = "first-key-0123456789"
NAMES = sorted(path.name for path in FOLDER.iterdir())


def text(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_an_etag_and_is_not_sent_twice(run: Callable[..., None], name: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        path = "/" if name == "index.html" else f"/studio/{name}"
        whole = await client.get(path)
        assert whole.status_code == 200
        assert whole.content == (FOLDER / name).read_bytes()
        again = await client.get(path, headers={"if-none-match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await client.head(path)
        assert head.headers["content-length"] == str(len(whole.content))
        assert head.headers["etag"] == whole.headers["etag"]
        assert (await client.post(path)).status_code == 405

    run(scenario)


def test_only_files_of_the_page_are_served(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for name in ("nothing.js", "style.css.gz", "%2e%2e%2fapp.py", "index.html/", ""):
            assert (await client.get(f"/studio/{name}")).status_code == 404

    run(scenario)


def test_the_page_may_load_and_run_nothing_but_its_own_files(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        policy = (await client.get("/")).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy

    run(scenario)
    for name in NAMES:
        addresses = re.findall(r"https?://[^\s\"')]+", text(name))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, name  # the name of a language, not a place
    assert not re.findall(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", text("index.html"))


def test_every_file_that_the_page_asks_for_is_there() -> None:
    asked = set(re.findall(r"studio/([\w.]+)", text("index.html")))
    for name in NAMES:
        if Path(name).suffix == ".js":
            asked |= set(re.findall(r"from \"\./([\w.]+)\"", text(name)))
    assert asked | {"index.html"} == set(NAMES)


def test_with_keys_on_the_page_is_open_and_knows_to_ask_for_one(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        page = await client.get("/")
        assert 'data-key="yes"' in page.text
        assert (await client.get("/studio/app.js")).status_code == 200
        assert (await client.get("/v1/models")).status_code == 401

    run(scenario, api_keys=KEY)
    assert 'data-key="no"' in files()["index.html", False].content.decode()
