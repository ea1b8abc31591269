"""Laws of the metrics: bounded, merged, in Prometheus' format."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.board import VARIABLE, Board
from service.metrics import Metrics

Samples = dict[str, dict[tuple[str, ...], float]]


def samples(text: bytes) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_requests_are_counted_by_route_and_status(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for seed in range(3):
            await client.post("/v1/images", json={"label": 0, "seed": seed, "n": 2})
        await client.post("/v1/images", json={"label": 99})
        await client.get("/v1/models/grey")
        found = samples((await client.get("/metrics")).content)
        requests = found["mintage_requests_total"]
        assert requests["/v1/images", "200"] == 3
        assert requests["/v1/images", "422"] == 1
        assert requests["/v1/models/{model}", "200"] == 1
        assert found["mintage_images_total"]["grey",] == 6
        assert found["mintage_engine_seconds_count"][()] == 3
        assert found["mintage_encode_seconds_count"][()] == 3
        assert found["mintage_request_seconds_count"]["/v1/images",] == 4
        assert found["mintage_queued_images"] == {("grey",): 0, ("rgb",): 0}
        assert found["mintage_workers_ready"][()] == 1

    run(scenario)


def test_no_request_makes_the_server_remember_more(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.get("/no/such/path")
        await client.get("/metrics")
        before = samples((await client.get("/metrics")).content)
        for number in range(50):
            await client.get(f"/no/such/path/{number}")
            await client.get(f"/v1/models/nobody-{number}")
            await client.request(f"VERB{number}", "/v1/images")
        after = samples((await client.get("/metrics")).content)
        assert after["mintage_requests_total"]["other", "404"] == 51
        new = set(after["mintage_requests_total"]) - set(before["mintage_requests_total"])
        assert new == {("/v1/models/{model}", "404"), ("/v1/images", "405")}

    run(scenario)


def test_the_numbers_of_all_workers_are_told_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    routes, names = ("/v1/images",), ("fashion",)
    Board.create(names, workers=2, columns=Metrics(routes, names).columns)
    workers = []
    for place in range(2):
        metrics = Metrics(routes, names)
        board = Board.join(place)
        assert board is not None
        metrics.join(board)
        workers.append(metrics)
    workers[0].request("/v1/images", 200, 0.003)
    workers[1].request("/v1/images", 200, 0.02)
    workers[1].request("/nowhere", 299, 20)
    for metrics in workers:
        found = samples(metrics.exposition())
        assert found["mintage_requests_total"] == {("/v1/images", "200"): 2, ("other", "other"): 1}
        assert found["mintage_request_seconds_sum"]["/v1/images",] == pytest.approx(0.023)
        buckets = found["mintage_request_seconds_bucket"]
        assert buckets["0.0025", "/v1/images"] == 0
        assert buckets["0.005", "/v1/images"] == 1
        assert buckets["0.025", "/v1/images"] == buckets["+Inf", "/v1/images"] == 2
        assert (buckets["10", "other"], buckets["+Inf", "other"]) == (0, 1)


def test_refused_and_dropped_work_is_counted(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        many = [client.post("/v1/images", json={"label": 0, "n": 200, "format": "npy"}) for _ in range(20)]
        statuses = [reply.status_code for reply in await asyncio.gather(*many)]
        refused = statuses.count(429)
        assert refused > 0
        assert statuses.count(200) + refused == 20
        expired = await client.post(
            "/v1/images", json={"label": 0, "n": 200, "timeout_ms": 1, "format": "npy"}
        )
        assert expired.status_code == 504
        found = samples((await client.get("/metrics")).content)
        assert found["mintage_refused_total"]["grey",] == refused
        assert found["mintage_dropped_total"]["grey", "expired"] == 1

    run(scenario, max_queue=300)


def test_a_worker_that_replaces_another_counts_on_but_has_an_empty_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    Board.create(["grey"], workers=1, columns=Metrics((), ["grey"]).columns)
    for expected in (5, 10):
        metrics, board = Metrics((), ["grey"]), Board.join(0)
        assert board is not None
        metrics.join(board)
        assert samples(metrics.exposition())["mintage_queued_images"]["grey",] == 0
        metrics.made("grey", 5, 0.1, 0.1)
        metrics.queued("grey", 7)
        assert samples(metrics.exposition())["mintage_images_total"]["grey",] == expected
