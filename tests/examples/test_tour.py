"""The notebook runs, and what is kept in it is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "examples" / "tour.ipynb"


def outputs(file: Path) -> list[Any]:
    """Of its code cells, in order."""
    book: Any = json.loads(file.read_text())
    return [cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code"]


def texts(cell: list[Any]) -> str:
    return "".join("".join(output["text"]) for output in cell if output["output_type"] == "stream")


def pictures(cell: list[Any]) -> list[str]:
    return [kind for output in cell for kind in output.get("data", {}) if kind.startswith("image/")]


def test_the_tour_runs_and_says_and_shows_what_is_kept_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", TOUR, f"--output={tmp_path / 'tour.ipynb'}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept, now = outputs(TOUR), outputs(tmp_path / "tour.ipynb")
    assert [texts(cell) for cell in now] == [texts(cell) for cell in kept]
    assert [pictures(cell) for cell in now] == [pictures(cell) for cell in kept]
    assert sum(len(pictures(cell)) for cell in kept) >= 9


def test_the_tour_is_small() -> None:
    assert TOUR.stat().st_size < 500_000
