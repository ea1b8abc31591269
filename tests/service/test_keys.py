"""Laws of API keys: who gets in, and how far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.errors import RateLimited
from service.keys import Bucket, Keys, UnusableKeys
from service.routes import match
from service.settings import Settings

FIRST, SECOND, TOKEN = "first-key-0123456789", "second-key-0123456789", "metrics-0123456789"
IMAGE = {"label": 0, "seed": 1}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_with_keys_on_only_health_and_the_first_page_are_open(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("/livez", "/readyz", "/"):
            assert (await client.get(path)).status_code == 200
        for path in ("/v1/models", "/v1/models/grey", "/docs", "/openapi.json", "/schema.json", "/nowhere"):
            reply = await client.get(path)
            assert reply.status_code == 401, path
            assert reply.headers["www-authenticate"] == "Bearer"
            assert "Authorization: Bearer KEY" in reply.json()["detail"]
        assert (await client.post("/v1/images", json=IMAGE)).status_code == 401
        assert (await client.post("/generate", json=IMAGE)).status_code == 401
        assert (await client.get("/v1/images/grey/0/1.png")).status_code == 401

    run(scenario, api_keys=FIRST)


def test_any_of_the_keys_opens_as_bearer_or_as_header(run: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# for the games team\n\n{SECOND}\n")

    async def scenario(client: httpx.AsyncClient) -> None:
        for key in (FIRST, SECOND):
            for headers in (bearer(key), {"x-api-key": key}, {"authorization": f"bearer  {key}"}):
                assert (await client.post("/v1/images", json=IMAGE, headers=headers)).status_code == 200
        for wrong in ("", FIRST[:-1], FIRST + "0", FIRST.upper(), "ключ-0123456789012345"):
            given = httpx.Headers([(b"x-api-key", wrong.encode())])
            assert (await client.post("/v1/images", json=IMAGE, headers=given)).status_code == 401
        assert (await client.get(f"/v1/models?key={FIRST}")).status_code == 401

    run(scenario, api_keys=FIRST, api_keys_file=file)


def test_links_of_a_closed_server_are_private_to_caches(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        name = (await client.get("/v1/models/grey", headers=bearer(FIRST))).json()["version"]
        reply = await client.get(f"/v1/images/{name}/0/1.png", headers=bearer(FIRST))
        assert reply.headers["cache-control"] == "private, max-age=31536000, immutable"

    run(scenario, api_keys=FIRST)


def test_metrics_have_their_own_token(run: Callable[..., None]) -> None:
    async def with_token(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers=bearer(FIRST))).status_code == 401
        assert (await client.get("/metrics", headers=bearer(TOKEN))).status_code == 200
        assert (await client.get("/v1/models", headers=bearer(TOKEN))).status_code == 401

    async def without(client: httpx.AsyncClient) -> None:
        reply = await client.get("/metrics", headers=bearer(FIRST))
        assert reply.status_code == 403
        assert "MINTAGE_METRICS_TOKEN" in reply.json()["detail"]

    run(with_token, api_keys=FIRST, metrics_token=TOKEN)
    run(without, api_keys=FIRST)


def test_a_path_has_one_spelling(run: Callable[..., None]) -> None:
    """Another one must not lead to a route past the rule for its path."""

    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("*/metrics", "//metrics", "/metrics/", "/./metrics"):
            request = client.build_request("GET", "/", headers=bearer(FIRST))
            request.url = httpx.URL("http://test").copy_with(raw_path=b"/" + path.encode().lstrip(b"/"))
            assert (await client.send(request)).status_code in (403, 404)
        assert match("*/metrics") == ("", {})
        assert match("/metrics") == ("/metrics", {})

    run(scenario, api_keys=FIRST)


def test_a_key_gets_its_share_of_images_and_another_key_its_own(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        async def ask(key: str, n: int) -> httpx.Response:
            return await client.post(
                "/v1/images", json={**IMAGE, "n": n, "format": "npy"}, headers={"x-api-key": key}
            )

        assert (await ask(FIRST, 8)).status_code == 200
        assert (await ask(FIRST, 8)).status_code == 200  # overdraws the bucket
        refused = await ask(FIRST, 1)
        assert refused.status_code == 429
        assert 5 <= int(refused.headers["retry-after"]) <= 8  # seven images and one more, at one a second
        assert refused.json()["retry_after_s"] == int(refused.headers["retry-after"])
        assert (await ask(SECOND, 8)).status_code == 200

    run(scenario, api_keys=f"{FIRST},{SECOND}", rate_images_per_s=1, rate_burst_images=9)


def test_a_bucket_fills_up_again_but_not_beyond_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("service.keys.time.monotonic", lambda: now)
    bucket = Bucket(images_per_s=2, burst=10)
    bucket.charge(10)
    with pytest.raises(RateLimited):
        bucket.charge(1)
    now += 1
    bucket.charge(2)
    with pytest.raises(RateLimited):
        bucket.charge(1)
    now += 1000
    bucket.charge(10)
    with pytest.raises(RateLimited):
        bucket.charge(1)


@pytest.mark.parametrize("key", ["short", "has blanks in it 0123", "schlüssel-0123456789"])
def test_a_weak_key_ends_the_start_and_is_not_told_in_full(key: str) -> None:
    with pytest.raises(UnusableKeys, match="at least 16 ASCII characters") as caught:
        Keys(Settings(api_keys=(key,)))
    assert key not in str(caught.value)


def test_a_key_file_without_a_key_does_not_open_the_server(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n\n")
    with pytest.raises(UnusableKeys, match="there is no key in it"):
        Keys(Settings(api_keys_file=tmp_path / "keys"))


def test_a_missing_key_file_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(UnusableKeys, match=r"MINTAGE_API_KEYS_FILE .*nowhere"):
        Keys(Settings(api_keys_file=tmp_path / "nowhere"))
