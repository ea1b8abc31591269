"""Laws of switching to a new version while the server runs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from export.artifact import complete_artifact, export_checkpoint
from generator import Generator
from generator.artifact import DIRECTIONS
from generator.latents import latents
from generator.paths import LatentPath
from service.app import App
from service.errors import Unready
from service.frames import pieces
from service.keys import Keys
from service.models import Models
from service.reloading import Reloader
from service.settings import Settings
from tests.conftest import GREY, untrained, without_file
from tests.service.conftest import nothing_behind

Scenario = Callable[[Models, Reloader, httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("versions")
    for seed, name in enumerate(("first", "second")):
        export_checkpoint(untrained(GREY, "grey", seed=seed), folder / name)
    return folder / "first", folder / "second"


def point(link: Path, version: Path) -> None:
    """Switches a link at once, as an export does."""
    fresh = link.with_name(".fresh")
    fresh.symlink_to(version)
    fresh.replace(link)


@pytest.fixture
def link(versions: tuple[Path, Path], tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    link = tmp_path / "models" / "grey"
    point(link, versions[0])
    return link


def in_service(link: Path, scenario: Scenario) -> None:
    async def main() -> None:
        settings = Settings(models=link.parent, workers=1)
        models = Models(settings)
        models.start()
        transport = httpx.ASGITransport(App(models, nothing_behind, frozenset(), Keys(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await scenario(models, Reloader(models), client)
        await models.close()

    asyncio.run(main())


def test_a_switched_link_is_served_and_links_to_the_old_version_are_gone(
    link: Path, versions: tuple[Path, Path]
) -> None:
    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        pinned, current = f"/v1/images/{old.id}/0/7.png", "/v1/images/grey/0/7.png"
        before = await client.get(current)
        board_before = models.board.statuses()[0].version
        point(link, versions[1])
        await reloader.look(old)
        after = await client.get(current)
        assert models.find("grey").id != old.id
        assert after.content != before.content
        assert after.headers["etag"] != before.headers["etag"]
        assert (await client.get(pinned)).status_code == 410
        assert models.board.statuses()[0].version != board_before

    in_service(link, scenario)


def test_requests_that_the_old_version_accepted_are_finished_by_it(
    link: Path, versions: tuple[Path, Path]
) -> None:
    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        ask = {"label": 0, "seed": 1, "n": 1000, "format": "npy"}
        running = [asyncio.create_task(client.post("/v1/images", json=ask)) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert old.batcher.queued
        point(link, versions[1])
        await reloader.look(old)
        replies = await asyncio.gather(*running)
        assert {reply.headers["x-model"] for reply in replies} == {old.id}
        assert (await client.post("/v1/images", json=ask)).headers["x-model"] == models.find("grey").id

    in_service(link, scenario)


def test_a_film_that_has_begun_is_finished_by_the_old_version(
    link: Path, versions: tuple[Path, Path]
) -> None:
    path = LatentPath(latents([1, 2], GREY.latent_dim), GREY.class_vectors([0, 1]), 200)

    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        parts = pieces(old, path, scale=1, timeout_s=10, of_each=True)
        frames = [(await anext(parts))[1].images]
        point(link, versions[1])
        await reloader.look(old)
        assert models.find("grey").id != old.id
        frames += [made.images async for _, made in parts]
        expected = np.concatenate(list(Generator.open(versions[0]).frames_of(path)))
        np.testing.assert_array_equal(np.concatenate(frames), expected)
        await old.close()
        with pytest.raises(Unready):
            await anext(pieces(old, path, scale=1, timeout_s=10, of_each=True))

    in_service(link, scenario)


def test_directions_that_are_added_are_served_and_links_stay(
    link: Path, grey_of_an_earlier_version: Path, tmp_path: Path
) -> None:
    shutil.copytree(grey_of_an_earlier_version, tmp_path / "copy")
    completed = complete_artifact(tmp_path / "copy").manifest.files
    without = without_file(tmp_path / "copy", DIRECTIONS)
    point(link, without)

    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        steered = {"label": 0, "seed": 1, "directions": {"0": 1}}
        assert (await client.post("/v1/images", json=steered)).status_code == 422
        assert complete_artifact(without).manifest.files == completed
        await reloader.look(old)
        assert (await client.post("/v1/images", json=steered)).status_code == 200
        assert (await client.get(f"/v1/images/{old.id}/0/7.png")).status_code == 200

    in_service(link, scenario)


def test_a_corrupt_version_is_refused_and_the_old_one_goes_on(
    link: Path, versions: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    for file in versions[1].iterdir():
        (corrupt / file.name).write_bytes(file.read_bytes()[: -10 if file.suffix == ".onnx" else None])

    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        for wrong in (corrupt, tmp_path / "nothing_there"):
            point(link, wrong)
            await reloader.look(old)
            await reloader.look(old)
            assert models.find("grey") is old
            assert (await client.get("/v1/images/grey/0/7.png")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        point(link, versions[1])
        await reloader.look(old)
        assert models.find("grey").id != old.id

    in_service(link, scenario)
    told = [record for record in caplog.records if "stays in service" in record.message]
    assert len(told) == 1
    assert "sha256" in told[0].message


def test_a_version_of_another_name_is_refused(
    link: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export_checkpoint(untrained(GREY, "black"), tmp_path / "black")

    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        point(link, tmp_path / "black")
        await reloader.look(old)
        assert models.find("grey") is old

    in_service(link, scenario)
    assert "it is called 'black', not 'grey'" in caplog.text


def test_a_link_to_a_version_that_is_on_its_way_is_not_called_gone(
    link: Path, versions: tuple[Path, Path]
) -> None:
    """Workers do not switch at the same moment, and caches keep a 410."""

    async def scenario(models: Models, reloader: Reloader, client: httpx.AsyncClient) -> None:
        old = models.find("grey")
        point(link, versions[1])
        fresh = await asyncio.to_thread(reloader._load, link, old)
        assert fresh is not None
        reply = await client.get(f"/v1/images/{fresh.id}/0/7.png")
        assert reply.status_code == 503
        models.switch(fresh)
        assert (await client.get(f"/v1/images/{fresh.id}/0/7.png")).status_code == 200

    in_service(link, scenario)
