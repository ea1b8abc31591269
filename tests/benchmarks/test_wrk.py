"""wrk with our script: no two requests alike."""

from __future__ import annotations

import json
import shutil

import pytest

from benchmarks.questions import ONE_PNG
from benchmarks.wrk import WrkError, measure
from tests.benchmarks.responder import Server

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@needs_wrk
@pytest.mark.parametrize("first_seed", [0, 2**32 - 50])
def test_no_two_requests_of_wrk_are_alike(first_seed: int) -> None:
    server = Server(refuse_at=(3, 4))
    with server.running() as port:
        measured = measure(
            port, ONE_PNG, num_classes=3, connections=4, seconds=1, first_seed=first_seed, threads=2
        )
    asked = [json.loads(body) for body in server.bodies]
    assert len({(one["label"], one["seed"]) for one in asked}) == len(asked) > 100
    assert {one["label"] for one in asked} == {0, 1, 2}
    assert len({one["seed"] for one in asked}) == len(asked)
    assert all(0 <= one["seed"] < 2**32 for one in asked)
    assert (measured.refused, measured.broken) == (2, 0)
    assert len(asked) - 8 <= measured.requests <= len(asked)
    assert measured.requests_per_s == (measured.requests - 2) / measured.seconds
    assert 0 < measured.p50_ms <= measured.p99_ms <= measured.max_ms


@needs_wrk
def test_without_a_server_wrk_fails() -> None:
    with pytest.raises(WrkError, match="unable to connect"):
        measure(1, ONE_PNG, num_classes=3, connections=1, seconds=1, first_seed=0)


def test_without_wrk_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WrkError, match="apt-get install wrk"):
        measure(1, ONE_PNG, num_classes=3, connections=1, seconds=1, first_seed=0)
