"""Counting modes, the cells of the comparison, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from training.modes.__main__ import main
from training.modes.cells import Cell
from training.modes.mixtures import GRID, RING, Mixture, coverage
from training.modes.recipes import RECIPES


@pytest.mark.parametrize("mixture", [RING, GRID], ids=lambda mixture: mixture.name)
def test_the_mixture_itself_covers_all_its_modes(mixture: Mixture) -> None:
    found = coverage(mixture.draw(2500, torch.Generator().manual_seed(0)), mixture)
    assert found.modes == len(mixture.centres)
    assert found.high_quality == pytest.approx(1 - 0.0111, abs=0.006)  # exp(-9 / 2) lie beyond 3 deviations


def test_a_mode_is_found_by_one_point_within_three_deviations_and_no_nearer_counts_twice() -> None:
    centres = torch.tensor(RING.centres)
    near = centres[:3] + torch.tensor([0.029, 0.0])
    far = centres[3:] + torch.tensor([0.031, 0.0])
    found = coverage(torch.cat([near, near, far]), RING)
    assert found.modes == 3
    assert found.high_quality == pytest.approx(6 / 11)


def test_the_protocol_is_pacgans() -> None:
    assert (len(RING.centres), RING.deviation) == (8, 0.01)
    assert (len(GRID.centres), GRID.deviation) == (25, 0.05)
    assert {abs(x) for centre in GRID.centres for x in centre} == {0, 2, 4}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": {}}', None])
def test_a_damaged_cell_counts_as_missing(tmp_path: Path, content: str | None) -> None:
    cell = Cell("plain", "ring", 0, 20)
    cell.file(tmp_path).parent.mkdir()
    cell.file(tmp_path).write_text(content or json.dumps({"settings": cell.settings, "coverage": {"mo": 1}}))
    assert cell.result(tmp_path) is None


def test_a_comparison_goes_on_where_it_stopped_and_fills_table_and_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--recipes", "plain", "packed", "--steps", "20", "--seeds", "1", "--out", str(tmp_path)]
    assert main([*arguments, "--processes", "1"]) == 0
    shown = capsys.readouterr().out
    assert RECIPES["plain"].about in shown
    assert RECIPES["packed"].about in shown
    with Image.open(tmp_path / "ring.webp") as film:
        assert film.n_frames > 10  # type: ignore[attr-defined]
    kept = Cell("plain", "ring", 0, 20).file(tmp_path)
    written = kept.stat().st_mtime_ns
    lost = Cell("packed", "grid", 0, 20).file(tmp_path)
    before = json.loads(lost.read_text())["coverage"]
    lost.unlink()
    assert main([*arguments, "--processes", "1"]) == 0
    assert kept.stat().st_mtime_ns == written
    assert json.loads(lost.read_text())["coverage"] == before
    assert Cell("plain", "ring", 0, 21).result(tmp_path) is None  # other settings are another cell
