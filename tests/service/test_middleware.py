"""Other pages' leave (CORS) and traces, both off unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import middleware, tracing
from service.http import ASGIApp

PAGE = "https://toys.example"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-api-key",
}


def test_pages_of_the_chosen_origins_may_ask_and_read_what_they_need(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        leave = await client.options("/v1/images", headers=PREFLIGHT)
        assert leave.status_code == 200
        assert leave.headers["access-control-allow-origin"] == PAGE
        reply = await client.post("/v1/images", json={"label": 0}, headers={"origin": PAGE})
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "X-Seed" in reply.headers["access-control-expose-headers"]
        assert (await client.post("/v1/images", json={}, headers={"origin": PAGE})).headers[
            "access-control-allow-origin"
        ] == PAGE
        other = await client.post("/v1/images", json={"label": 0}, headers={"origin": "https://elsewhere"})
        assert "access-control-allow-origin" not in other.headers

    run(scenario, cors_origins=f"https://other.example, {PAGE}")


def test_a_page_asks_for_leave_without_a_key(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.options("/v1/images", headers=PREFLIGHT)).status_code == 200
        reply = await client.post("/v1/images", json={"label": 0}, headers={"origin": PAGE})
        assert reply.status_code == 401
        assert reply.headers["access-control-allow-origin"] == PAGE

    run(scenario, cors_origins=PAGE, api_keys="0123456789abcdef")


def test_no_page_has_leave_by_default(run: Callable[..., None]) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.options("/v1/images", headers=PREFLIGHT)).status_code == 405
        reply = await client.post("/v1/images", json={"label": 0}, headers={"origin": PAGE})
        assert "access-control-allow-origin" not in reply.headers

    run(scenario)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces that stay in this process."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))

    def traced(app: ASGIApp) -> ASGIApp:
        return tracing.spans(app, provider)

    monkeypatch.setattr(middleware, "traced", traced)
    yield kept
    monkeypatch.setattr(tracing, "_span", None)


def test_a_trace_tells_where_the_time_went(run: Callable[..., None], exporter: InMemorySpanExporter) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    async def scenario(client: httpx.AsyncClient) -> None:
        parent = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
        await client.post("/v1/images", json={"label": 0, "n": 3}, headers=parent)
        await client.get("/livez")

    run(scenario, tracing=True)
    (span,) = exporter.get_finished_spans()
    assert span.context.trace_id == int(trace_id, 16)
    told: dict[str, Any] = dict(span.attributes or {})
    assert told["mintage.images"] == 3
    assert told["mintage.model"].startswith("grey@")
    assert told["mintage.engine_ms"] > 0
    assert told["http.status_code"] == 200
