"""The application in this process: real models, real engine, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import App
from service.http import Receive, Scope, Send
from service.keys import Keys
from service.middleware import in_front
from service.models import Models
from service.routes import ROUTES
from service.settings import Settings

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


async def nothing_behind(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['path']} went on to BentoML")


@pytest.fixture
def run(models_folder: Path) -> Callable[..., None]:
    """Runs a scenario against the application with the two models of the tests."""

    def run_scenario(scenario: Scenario, **settings: Any) -> None:
        async def with_client() -> None:
            chosen = Settings(**{"models": models_folder, "workers": 1, **settings})
            models = Models(chosen)
            models.start(tuple(ROUTES))
            app = in_front(App(models, nothing_behind, frozenset(), Keys(chosen)), chosen)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                await scenario(client)
            await models.close()

        asyncio.run(with_client())

    return run_scenario
