"""POST /v1/inversions: what comes back makes the image again; hostile files get a clear refusal."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from generator import Generator
from generator.encoder import Encoded, Encoder
from generator.pixels import Pixels, enlarge, rms_error, to_pillow
from service.uploads import MAX_SCANS
from tests.service.test_http import picture, post, problem
from tests.service.test_server import serving

PNG = {"content-type": "image/png"}
Run = Callable[..., None]


@pytest.fixture
def inverting(run: Run, models_with_encoders: Path) -> Run:
    """Runs a scenario against models that have encoders."""

    def run_scenario(scenario: Any, **settings: Any) -> None:
        run(scenario, **{"models": models_with_encoders, **settings})

    return run_scenario


async def invert(client: httpx.AsyncClient, content: bytes, kind: str = "image/png", **query: Any) -> Any:
    return await client.post("/v1/inversions", params=query, content=content, headers={"content-type": kind})


def file_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def own_image(path: Path, label: int = 1, seed: int = 7) -> Pixels:
    image: Pixels = Generator.open(path).images([label], [seed])[0]
    return image


def decoded(text: str) -> Pixels:
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
    return image[..., None] if image.ndim == 2 else image


@pytest.mark.parametrize("model", ["grey", "rgb"])
def test_what_comes_back_makes_the_reconstruction(
    inverting: Run, models_with_encoders: Path, model: str
) -> None:
    image = own_image(models_with_encoders / model)
    expected = Generator.open(models_with_encoders / model).invert(image[None])

    async def scenario(client: httpx.AsyncClient) -> None:
        content = file_of(to_pillow(enlarge(image, 3)))
        reply = await invert(client, content, model=model)
        assert reply.status_code == 200, reply.text
        found = reply.json()
        np.testing.assert_array_equal(decoded(found["b64_seen_png"]), image)
        reconstruction = decoded(found["b64_png"])
        np.testing.assert_array_equal(reconstruction, expected.images[0])
        np.testing.assert_array_equal(np.float32(found["latent"]), expected.latent[0])
        assert found["error"] == pytest.approx(float(rms_error(reconstruction, image)))
        assert found["error"] < found["encoder_error"]
        assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
        same = await post(client, model=model, label=found["label"], latent=found["latent"])
        np.testing.assert_array_equal(picture(same), reconstruction)
        np.testing.assert_array_equal(picture(await client.get(found["permalink"])), reconstruction)
        assert reply.headers["x-model"] == found["model"]
        timing = {part.split(";dur=")[0].strip() for part in reply.headers["server-timing"].split(",")}
        assert timing == {"read", "encoder", "queue", "engine"}
        entry = (await client.get(f"/v1/models/{model}")).json()
        assert entry["encoder"] is True

    inverting(scenario)


def test_every_way_to_send_an_image_gives_the_same(inverting: Run, models_with_encoders: Path) -> None:
    image = to_pillow(own_image(models_with_encoders / "grey"))
    png, webp = file_of(image), file_of(image, "WEBP", lossless=True)

    async def scenario(client: httpx.AsyncClient) -> None:
        first = (await invert(client, png, model="grey")).json()
        for content, kind in ((webp, "image/webp"), (png, "image/jpeg"), (png, "Image/PNG; charset=x")):
            assert (await invert(client, content, kind, model="grey")).json() == first
        form = await client.post("/v1/inversions?model=grey", files={"image": ("x.png", png, "image/png")})
        assert form.json() == first
        assert (await invert(client, png, model="grey", timeout_ms=9000)).json() == first
        jpeg = await invert(client, file_of(image.resize((700, 300)), "JPEG"), "image/jpeg", model="grey")
        assert jpeg.status_code == 200
        phone = file_of(image, "MPO", save_all=True, append_images=[image.resize((9, 9))])
        assert (await invert(client, phone, "image/jpeg", model="grey")).status_code == 200

    inverting(scenario)


def test_a_class_that_is_given_is_kept(inverting: Run, models_with_encoders: Path) -> None:
    content = file_of(to_pillow(own_image(models_with_encoders / "grey")))

    async def scenario(client: httpx.AsyncClient) -> None:
        for label in ("Ankle boot", "ankle-boot", "2"):
            found = (await invert(client, content, model="grey", label=label)).json()
            assert found["label"] == "Ankle boot"
        free = (await invert(client, content, model="grey")).json()
        assert free["probabilities"] == found["probabilities"]

    inverting(scenario)


def test_parameters_that_make_no_sense_are_named(
    inverting: Run, run: Run, models_with_encoders: Path
) -> None:
    content = file_of(to_pillow(own_image(models_with_encoders / "grey")))
    wrong = {
        "refine=21": "refine", "refine=-1": "refine", "refine=x": "refine", "refine=1.5": "refine",
        "label=hat": "label", "label=3": "label", "label=null": "label", "model=none": "model",
        "timeout_ms=0": "timeout_ms", "steps=3": "steps", "refine=1&refine=2": "refine",
        "image=http://example.org/x.png": "image",
    }  # fmt: skip

    async def scenario(client: httpx.AsyncClient) -> None:
        for query, field in wrong.items():
            reply = await client.post(f"/v1/inversions?{query}", content=content, headers=PNG)
            assert problem(reply, 422)["field"] == field, query

    async def without(client: httpx.AsyncClient) -> None:
        refused = problem(await invert(client, content, model="grey"), 422)
        assert refused["field"] == "model"
        assert "python -m training encoder" in refused["detail"]
        assert (await client.get("/v1/models/grey")).json()["encoder"] is False

    inverting(scenario)
    run(without)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header says so."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def animation(form: str) -> bytes:
    frames = [Image.new("L", (14, 14), shade) for shade in (0, 100, 200)]
    return file_of(frames[0], form, save_all=True, append_images=frames[1:])


def many_scans() -> bytes:
    jpeg = file_of(Image.new("L", (14, 14)), "JPEG")
    start = jpeg.index(b"\xff\xda")
    return jpeg[:-2] + jpeg[start:-2] * MAX_SCANS + jpeg[-2:]


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
HOSTILE: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "empty"),
    "text": (b"http://127.0.0.1/x.png", 415, "no PNG, JPEG or WebP"),
    "gif": (file_of(Image.new("L", (14, 14)), "GIF"), 415, "no PNG, JPEG or WebP"),
    "bmp": (file_of(PHOTO, "BMP"), 415, "no PNG, JPEG or WebP"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "no PNG, JPEG or WebP"),
    "half a png": (file_of(PHOTO)[:2000], 422, "cannot be read"),
    "half a jpeg": (file_of(PHOTO, "JPEG")[:900], 422, "cannot be read"),
    "half a webp": (file_of(PHOTO, "WEBP")[:300], 422, "cut short"),
    "apng": (animation("PNG"), 422, "animation of 3 frames"),
    "animated webp": (animation("WEBP"), 422, "animation of 3 frames"),
    "large": (png_of(4001, 4000), 413, "4001 x 4000 pixels"),
    "larger": (png_of(12_000, 10_000), 413, "pixels"),
    "a bomb": (png_of(2**31 - 1, 2**31 - 1), 413, "pixels"),
    "a bomb of zeros": (png_of(30_000, 30_000, bytes(10**7)), 413, "pixels"),
    "no pixels": (png_of(0, 7), 415, ""),
    "a png without data": (png_of(14, 14), 422, "cannot be read"),
    "scans": (many_scans(), 422, "scans"),
    "a text bomb": (
        file_of(PHOTO)[:33] + chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**8))) + file_of(PHOTO)[33:],
        422,
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_for_what_they_are(
    inverting: Run, models_with_encoders: Path, name: str
) -> None:
    content, status, message = HOSTILE[name]
    good = file_of(to_pillow(own_image(models_with_encoders / "grey")))

    async def scenario(client: httpx.AsyncClient) -> None:
        for kind in ("image/png", "image/jpeg", "image/webp"):
            assert message in problem(await invert(client, content, kind), status)["detail"]
        form = await client.post("/v1/inversions", files={"image": ("../../x", content, "image/png")})
        assert message in problem(form, status)["detail"]
        assert (await invert(client, good)).status_code == 200

    inverting(scenario)


def test_bodies_that_are_no_images_are_refused(inverting: Run, models_with_encoders: Path) -> None:
    good = file_of(to_pillow(own_image(models_with_encoders / "grey")))
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + good + b"\r\n"
    boundary = "multipart/form-data; boundary=x"
    forms: list[tuple[bytes, str, int, str]] = [
        (part + b"--x--\r\n", boundary, 200, ""),
        (part, boundary, 400, "no end"),
        (part + b"--x--\r\n", "multipart/form-data", 400, "boundary"),
        (part + part + b"--x--\r\n", boundary, 422, "twice"),
        (part.replace(b'"image"', b'"url"') + b"--x--\r\n", boundary, 422, "field 'url'"),
        (part.replace(b"Content-", b"Content:-") + b"--x--\r\n", boundary, 422, "field ''"),
        (b"--x--\r\n", boundary, 422, "missing"),
        (b"", boundary, 400, "no end"),
        (b"--y\r\n\r\n--y--", boundary, 400, ""),
        (part + b"--x--\r\n", "multipart/form-data; boundary=" + 300 * "x", 400, ""),
        (good, "application/octet-stream", 415, "image/png, image/jpeg, image/webp"),
        (good, "image/gif", 415, "image/png"),
        (b'{"url": "http://127.0.0.1/"}', "application/json", 415, "image/png"),
        (good, "", 415, "image/png"),
        (bytes(2**20 + 1), "image/png", 413, "larger than"),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for content, kind, status, message in forms:
            reply = await invert(client, content, kind)
            assert reply.status_code == status, (kind, content[:80], reply.text)
            assert message in reply.text

    inverting(scenario, max_body_bytes=2**20)


def test_an_inversion_is_charged_for_every_image_that_it_takes(
    inverting: Run, models_with_encoders: Path
) -> None:
    key = {"x-api-key": "first-key-0123456789"}
    content = file_of(to_pillow(own_image(models_with_encoders / "grey")))

    async def scenario(client: httpx.AsyncClient) -> None:
        ask: dict[str, Any] = {"content": content, "headers": PNG}
        problem(await client.post("/v1/inversions", **ask), 401)
        ask["headers"] = {**PNG, **key}
        for _ in range(3):
            assert (await client.post("/v1/inversions?refine=0", **ask)).status_code == 200
        assert (await client.post("/v1/inversions?refine=20", **ask)).status_code == 200
        refused = problem(await client.post("/v1/inversions", **ask), 429)
        assert refused["retry_after_s"] > 100  # 1 + 20 x (5 + 8) images at one a second
        counted = (await client.get("/metrics", headers={"x-api-key": "metrics-token-0123456789"})).text
        route = 'mintage_requests_total{route="/v1/inversions",status="200"} 4.0'
        assert route in counted

    inverting(
        scenario, api_keys=(key["x-api-key"],), rate_images_per_s=1, rate_burst_images=10,
        metrics_token="metrics-token-0123456789",
    )  # fmt: skip


def test_images_that_come_together_are_encoded_together_and_too_many_are_refused(
    inverting: Run, models_with_encoders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [file_of(to_pillow(own_image(models_with_encoders / "grey", seed=seed))) for seed in range(6)]
    batches: list[int] = []
    gate, encode = threading.Event(), Encoder.encode

    def slowly(encoder: Encoder, images: Pixels) -> Encoded:
        batches.append(len(images))
        assert gate.wait(20)
        return encode(encoder, images)

    async def scenario(client: httpx.AsyncClient) -> None:
        gate.set()
        alone = [(await invert(client, content, model="grey")).json() for content in contents]
        gate.clear()
        batches.clear()
        tasks = [asyncio.create_task(invert(client, content, model="grey")) for content in contents]
        await asyncio.sleep(0.5)
        refused = problem(await invert(client, contents[0], model="grey"), 429)
        assert "6 images are being inverted" in refused["detail"]
        gate.set()
        together = [reply.json() for reply in await asyncio.gather(*tasks)]
        assert [found["latent"] for found in together] == [found["latent"] for found in alone]
        assert sum(batches) == 6
        assert len(batches) <= 2  # perhaps the first alone, the others meanwhile
        gate.clear()
        late = problem(await invert(client, contents[0], model="grey", timeout_ms=200), 504)
        assert "refine less" in late["detail"]
        gate.set()
        assert (await invert(client, contents[0], model="grey")).status_code == 200

    monkeypatch.setattr("service.models.Encoder.encode", slowly)
    gate.set()
    inverting(scenario, max_inversions=6)


def test_a_real_server_answers_good_images_among_hostile_ones(
    models_with_encoders: Path, tmp_path: Path
) -> None:
    good = file_of(to_pillow(own_image(models_with_encoders / "grey")))
    large = file_of(Image.new("L", (4000, 4000), 90))
    asked = [(content, status) for content, status, _ in HOSTILE.values()] + [(good, 200), (large, 200)] * 4

    async def scenario(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            first = (await invert(client, good, model="grey", refine=1)).json()
            replies = await asyncio.gather(*(invert(client, content) for content, _ in asked))
            for reply, (content, status) in zip(replies, asked, strict=True):
                assert reply.status_code == status, (content[:40], reply.text[:200])
            assert (await invert(client, good, model="grey", refine=1)).json() == first
            assert (await client.get("/readyz")).json()["status"] == "ready"

    with serving(tmp_path, models=models_with_encoders, max_inversions=64) as (url, _):
        asyncio.run(scenario(url))
