"""What may stand in front of the application: leave for other pages (CORS), traces. Nothing, by default."""

from __future__ import annotations

from typing import cast

from starlette.middleware.cors import CORSMiddleware

from service.http import ASGIApp
from service.settings import Settings
from service.tracing import traced

TOLD = (  # a page may read these
    "X-Seed", "X-Model", "X-Keyframes", "X-Batch-Size", "Server-Timing", "Retry-After", "ETag",
)  # fmt: skip
KEPT_S = 600  # how long a browser may keep the leave it was given


def in_front(app: ASGIApp, settings: Settings) -> ASGIApp:
    """The application with what the settings ask for around it."""
    if settings.tracing:
        app = traced(app)
    if settings.cors_origins:
        app = cast(
            ASGIApp,
            CORSMiddleware(
                cast("CORSMiddleware", app),
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "HEAD", "POST"),
                allow_headers=("authorization", "content-type", "x-api-key", "if-none-match"),
                expose_headers=TOLD,
                max_age=KEPT_S,
            ),
        )
    return app
