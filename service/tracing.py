"""OpenTelemetry traces: one span a request, with where its time went. Off unless the settings ask for it."""

from __future__ import annotations

from typing import Any, cast

from service.batching import Made
from service.http import ASGIApp

QUIET = "livez,readyz,metrics"  # paths that are asked all the time

_span: Any = None  # finds the span of the request at hand; None while tracing is off


def traced(app: ASGIApp) -> ASGIApp:
    """The application, each request of it a span that is sent where OTEL_EXPORTER_OTLP_* say.

    Raises SystemExit where the exporter is not installed.
    """
    # Hundreds of modules that nobody needs while tracing is off.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    except ImportError:
        raise SystemExit(
            "mintage cannot start: MINTAGE_TRACING needs the exporter: pip install '.[tracing]'"
        ) from None
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "mintage"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return spans(app, provider)


def spans(app: ASGIApp, provider: Any) -> ASGIApp:
    """The application, each request of it a span of the provider."""
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

    global _span  # noqa: PLW0603
    _span = trace.get_current_span
    middleware = OpenTelemetryMiddleware(
        cast(Any, app), excluded_urls=QUIET, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    return cast(ASGIApp, middleware)


def note(model: str, made: Made, encode_ms: float) -> None:
    """Writes into the request's span what made its reply and how long each part took."""
    if _span is not None:
        _span().set_attributes(
            {
                "mintage.model": model,
                "mintage.images": len(made.images),
                "mintage.batch": made.batch,
                "mintage.queue_ms": made.queue_ms,
                "mintage.engine_ms": made.engine_ms,
                "mintage.encode_ms": encode_ms,
            }
        )
