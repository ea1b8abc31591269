"""From measurements to tables: ratios visit by visit, the best peer, the document."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.peers.environments import requirements
from benchmarks.repeats import Spread, ratio
from benchmarks.report import serving_tables
from benchmarks.serving import Row
from benchmarks.tables import Table, figure, write_section


def test_ratios_are_of_neighbours_so_drift_cancels() -> None:
    assert ratio([4000, 2000, 2000], [2000, 1000, 1000]) == Spread(2, 2, 2, 3)
    assert ratio([10, 30], [10, 10]) == Spread(2, 1, 3, 2)
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2], [1])
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_the_table_of_serving_holds_ours_against_the_engine() -> None:
    spread = Spread.of([4500.0])
    row = Row("arrays", "images/s", spread, "engine", Spread.of([5000.0]), ratio([4500], [5000]))
    alone = Row("start", "s", Spread.of([2.5]))
    result = {
        "manifest": {"settings": {"repeats": 1, "seconds": 1}},
        "rows": {"a": [row.to_json()], "b": [alone.to_json()]},
    }
    (table,) = serving_tables(result)
    assert table.rows == [
        ("arrays", "4,500 images/s", "engine", "5,000", "0.90"),
        ("start", "2.50 s", "", "", ""),
    ]


def test_figures_have_as_many_digits_as_they_deserve() -> None:
    assert figure(Spread.of([3290.4, 3105, 3361])) == "3,290 (3,105-3,361)"
    assert figure(Spread.of([12.34])) == "12.3"
    assert figure(Spread.of([0.456])) == "0.46"


def test_a_section_of_the_document_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "benchmarks.md"
    write_section(file, "peers", "first")
    write_section(file, "serving", "second")
    file.write_text(file.read_text().replace("# Benchmarks", "# Benchmarks\n\nBy hand."))
    write_section(file, "peers", Table("T", ("a", "b"), [("x|y", "1")], frozenset({0})).markdown())
    text = file.read_text()
    assert "By hand." in text
    assert "second" in text
    assert "first" not in text
    assert "| **x\\|y** | **1** |" in text
    assert text.count("<!-- peers") == 1


@pytest.mark.parametrize(
    "content", ["no JSON", "[1]", '{"a": 1}', '{"manifest": {"settings": {}}, "loads": []}']
)
def test_a_file_that_is_no_result_is_told_on_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file.json").write_text(content)
    for arguments in (
        ["show", str(file)],
        ["compare", str(file), str(file)],
        ["show", str(tmp_path / "none")],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_peers_compute_with_the_versions_that_we_do() -> None:
    assert f"onnxruntime=={version('onnxruntime')}" in requirements(["mosec==1"])
    assert [line for line in requirements(["numpy==1.26.4"]) if line.startswith("numpy")] == ["numpy==1.26.4"]
