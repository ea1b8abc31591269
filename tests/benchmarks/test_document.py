"""The page of figures: what it says is what the published results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import document, results
from benchmarks.__main__ import main
from benchmarks.report import tables_of
from benchmarks.tables import marks

PUBLISHED = sorted(document.PUBLISHED.glob("*.json"))
SOAK = document.PUBLISHED / "soak.json"


@pytest.mark.parametrize("file", PUBLISHED, ids=[file.stem for file in PUBLISHED])
def test_a_section_says_what_the_published_result_says(file: Path) -> None:
    begin, end = marks(file.stem)
    text = document.DOCUMENT.read_text()
    said = text[text.index(begin) + len(begin) : text.index(end)]
    plot = document.PLOTS / f"{file.stem}.svg"
    assert said.strip() == document.section(results.read(file), plot if plot.is_file() else None).strip()


def test_a_result_is_published_with_its_tables_its_plot_and_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(document, "DOCUMENT", page := tmp_path / "benchmarks.md")
    monkeypatch.setattr(document, "PLOTS", tmp_path / "plots")
    monkeypatch.setattr(document, "PUBLISHED", tmp_path / "results")
    assert main(["show", str(SOAK)]) == 0
    assert not page.exists()
    assert main(["show", str(SOAK), "--write"]) == 0
    assert "![Latency, memory and open files, minute by minute](plots/soak.svg)" in page.read_text()
    assert (tmp_path / "plots" / "soak.svg").read_text().startswith("<?xml")
    assert results.read(tmp_path / "results" / "soak.json") == results.read(SOAK)
    assert capsys.readouterr().out.count("A steady load") == 2


def test_a_soak_that_was_broken_off_is_published_as_one() -> None:
    result = results.read(SOAK)
    del result["minutes"][7:]
    _, (table,) = tables_of(result)
    assert "7 loads of a minute, broken off then: 60 were meant." in table.note
    assert "broken off" not in tables_of(results.read(SOAK))[1][0].note


def test_a_result_of_another_version_is_told_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = results.read(SOAK)
    del result["capacity_per_s"]
    results.write(file := tmp_path / "soak.json", result)
    assert main(["show", str(file)]) == 2
    assert "has no 'capacity_per_s': it is of another version" in capsys.readouterr().err
