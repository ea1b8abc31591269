"""Tuning: the same small search for every peer, remembered peer by peer."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from benchmarks import results, tuning
from benchmarks.peers import catalogue
from benchmarks.peers.catalogue import CATALOGUE, Peer
from benchmarks.peers.settings import Encoder, PeerSettings
from benchmarks.results import ResultError, write
from benchmarks.servers import ServerError

WAYS = list(CATALOGUE["fastapi"].ways(PeerSettings("m", "ours")))


@pytest.mark.parametrize("peer", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("encoder", get_args(Encoder))
def test_every_peer_is_tuned_in_as_many_ways_with_what_it_runs(peer: Peer, encoder: Encoder) -> None:
    ways = list(peer.ways(PeerSettings("m", encoder)))
    assert len(ways) == len(set(ways)) == 8
    assert {(way.model, way.encoder) for way in ways} == {("m", encoder)}


@pytest.mark.parametrize("encoder", get_args(Encoder))
def test_a_peer_as_shipped_is_tuned_and_checked_with_plain_onnxruntime(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setattr(catalogue, "python_of", lambda name: python)
    for way in CATALOGUE["rayserve"].ways(PeerSettings("m", encoder)):
        server = CATALOGUE["rayserve"].server(way)
        assert server.is_plain == (encoder != "ours")
        assert PeerSettings.from_environment({**server.environment, "PEER_PORT": "0"}) == way
        assert server.environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == str(int(way.preset == "throughput"))
        assert server.environment["RAY_USAGE_STATS_ENABLED"] == "0"


def test_all_ways_are_tried_for_half_as_long_and_the_two_best_in_turns() -> None:
    asked: list[tuple[PeerSettings, int]] = []

    def rate(way: PeerSettings, seconds: int) -> float:
        asked.append((way, seconds))
        place = WAYS.index(way)
        return float(place if seconds == 2 else 10 - place)  # the second best at first is the best one

    tries = tuning.search(WAYS, rate, repeats=3, seconds=4)
    assert asked[:8] == [(way, 2) for way in WAYS]
    assert asked[8:] == [(WAYS[7], 4), (WAYS[6], 4)] * 3
    assert [tried.final_per_s for tried in tries[5:]] == [(), (4.0,) * 3, (3.0,) * 3]
    found = tuning._to_json(CATALOGUE["fastapi"], tries)
    assert found["best"] == {"handler": "async def", "threads": 1, "workers": 2}
    assert len(found["tried"]) == 8


def test_a_peer_that_never_works_is_told() -> None:
    tries = tuning.search(WAYS, lambda way, seconds: 0.0, repeats=1, seconds=1)
    with pytest.raises(ServerError, match="no way to run it works"):
        tuning._to_json(CATALOGUE["fastapi"], tries)


def test_a_search_is_remembered_peer_by_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "TUNED", tmp_path)
    found = {"manifest": {"settings": {}}, "ours": {"best": {"workers": 2, "wait_ms": 1}}}
    write(tmp_path / "mosec.json", found)
    assert tuning.tuned(CATALOGUE["mosec"], "m", "ours") == PeerSettings("m", "ours", workers=2, wait_ms=1)
    with pytest.raises(ResultError, match="python -m benchmarks tune --only triton"):
        tuning.tuned(CATALOGUE["triton"], "m", "ours")
