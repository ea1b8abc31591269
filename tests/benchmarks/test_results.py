"""From measurements to tables: ratios visit by visit, the best peer, the document."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks import tuning
from benchmarks.comparison import against, best_peer
from benchmarks.peers.catalogue import CATALOGUE
from benchmarks.peers.environments import requirements
from benchmarks.peers.settings import PeerSettings
from benchmarks.repeats import Spread, ratio
from benchmarks.report import peers_tables, serving_tables
from benchmarks.results import Json, ResultError, read, write
from benchmarks.serving import Row
from benchmarks.tables import Table, figure, write_section


def visits(*rates: float) -> list[Json]:
    """Visits with these requests a second, the same at every number of connections."""
    return [
        {
            "ready_s": 1.0,
            "first_request_ms": 5.0,
            "checked_images": 10,
            "loads": {
                count: {"requests_per_s": rate, "p50_ms": 1.0, "p99_ms": 2.0} for count in ("1", "16", "64")
            },
        }
        for rate in rates
    ]


def comparison() -> Json:
    """The machine got slower by half after the first visit; the true ratio to the fast peer is 2."""
    return {
        "manifest": {"settings": {"repeats": 3, "seconds": 1}},
        "visits": {
            "mintage": visits(4000, 2000, 2000),
            "slow, ours": visits(1000, 500, 500),
            "fast, ours": visits(2000, 1000, 1000),
            "odd, shipped": visits(3000),
            "mintage again": visits(4000, 1900, 2000),
        },
        "failed": {"odd, shipped": "ended with 1\nlog"},
    }


def test_ratios_are_of_neighbours_so_drift_cancels() -> None:
    assert ratio([4000, 2000, 2000], [2000, 1000, 1000]) == Spread(2, 2, 2, 3)
    assert ratio([10, 30], [10, 10]) == Spread(2, 1, 3, 2)
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2], [1])
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_the_best_peer_is_the_fastest_that_never_failed() -> None:
    result = comparison()
    assert best_peer(result, "ours", 64) == "fast, ours"
    assert best_peer(result, "shipped", 64) is None
    assert against(result, "slow, ours", 16) == Spread(4, 4, 4, 3)


def test_the_tables_of_a_comparison() -> None:
    rates, ratios, _, starts, failed = peers_tables(comparison())
    assert [row[0] for row in rates.rows] == ["mintage", "slow, ours", "fast, ours", "mintage again"]
    assert rates.rows[0][1] == "2,000 (2,000-4,000)"
    assert [row[0] for row in ratios.rows] == ["slow, ours", "fast, ours", "mintage again"]
    assert ratios.rows[1][3] == "2.00 (2.00-2.00) *"
    assert ratios.rows[2][3].strip() == "1.00 (1.00-1.05)"
    assert starts.rows[0] == ("mintage", "1.00 (1.00-1.00)", "5.00 (5.00-5.00)")
    assert failed.rows == [("odd, shipped", "ended with 1")]


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


def test_tuning_tries_every_combination_and_remembers_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = CATALOGUE["fastapi"]
    ways = list(peer.ways(PeerSettings("m", "ours")))
    assert len(ways) == len(set(ways)) == 8
    assert {(way.model, way.encoder) for way in ways} == {("m", "ours")}
    rates = [[float(n), float(n), 1e6 if n == 0 else float(n)] for n in range(8)]  # one lucky repeat
    best = tuning._best(peer, ways, rates)
    assert best["best"] == {"handler": "async def", "threads": 2, "workers": 2}
    monkeypatch.setattr(tuning, "TUNED", tmp_path / "tuned.json")
    with pytest.raises(ResultError, match="python -m benchmarks tune"):
        tuning.tuned(peer, "m", "ours")
    write(tmp_path / "tuned.json", {"peers": {"fastapi": {"ours": best}}})
    assert tuning.tuned(peer, "m", "ours") == ways[-1]
    assert read(tmp_path / "tuned.json")["peers"]["fastapi"]["ours"]["tried"][0]["requests_per_s"] == [
        0,
        0,
        1e6,
    ]


def test_peers_compute_with_the_versions_that_we_do() -> None:
    assert f"onnxruntime=={version('onnxruntime')}" in requirements(["mosec==1"])
    assert [line for line in requirements(["numpy==1.26.4"]) if line.startswith("numpy")] == ["numpy==1.26.4"]
