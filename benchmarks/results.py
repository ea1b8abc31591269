"""Where results go: JSON with the settings, every single measurement, and what went wrong."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks.servers import ROOT

RESULTS = ROOT / "runs" / "benchmarks"
LOGS = RESULTS / "logs"
HOME = RESULTS / "bentoml"
TUNED = RESULTS / "tuned"  # a file for each peer

Json = dict[str, Any]


class ResultError(RuntimeError):
    """A result that is needed and is not there."""


def new_file(kind: str) -> Path:
    """runs/benchmarks/KIND-2026-01-31T12-00-00.json, in UTC."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%S")
    return RESULTS / f"{kind}-{now}.json"


def write(file: Path, content: Json) -> None:
    """Whole or not at all: a run that is broken off leaves what it had."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(file)


def read(file: Path) -> Json:
    """What `write` wrote. Raises OSError where there is no file, ResultError for one that is no result."""
    try:
        content: Json = json.loads(file.read_text())
        content["manifest"]["settings"]
    except (ValueError, KeyError, TypeError):
        raise ResultError(
            f"{file} is no result of python -m benchmarks: they are in runs/benchmarks/KIND-TIME.json"
        ) from None
    return content
