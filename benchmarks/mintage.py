"""Our own service, started as its users start it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.questions import ONE_PNG, Question
from benchmarks.servers import Server, clean_environment

NAME = "mintage"


def mintage(
    model: Path, home: Path, *, name: str = NAME, question: Question = ONE_PNG, workers: int | None = None
) -> Server:
    """The service with one generator and its default settings; `workers` None is the default, too.

    `home` is where BentoML keeps its files.
    """
    home.mkdir(parents=True, exist_ok=True)
    more = () if workers is None else ("--workers", str(workers))
    return Server(
        name=name,
        command=(
            sys.executable,
            "-m",
            "service",
            "--port",
            "{port}",
            "--models",
            str(model.resolve()),
            *more,
        ),
        environment={
            **clean_environment(),
            "BENTOML_HOME": str(home.resolve()),
            "BENTOML_DO_NOT_TRACK": "True",
        },
        ready_path="/readyz",
        question=question,
    )
