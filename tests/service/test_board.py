"""Laws of the table that workers share."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from service.board import BEAT, HUNG_S, VARIABLE, Board

ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> tuple[Board, Board]:
    monkeypatch.setenv(VARIABLE, "")  # so that what create sets is undone after the test
    Board.create(["fashion"], workers=2, columns=3)
    first, second = Board.join(0), Board.join(1)
    assert first is not None
    assert second is not None
    return first, second


def test_every_worker_sees_what_the_others_tell(two_workers: tuple[Board, Board]) -> None:
    first, second = two_workers
    assert [status.ready for status in first.statuses()] == [False, False]
    second.beat()
    second.tell_ready(version=7)
    assert [status.ready for status in first.statuses()] == [False, True]
    assert first.statuses()[1].pid == os.getpid()
    assert first.statuses()[1].version == 7
    assert first.models == ("fashion",)


def test_the_fewest_connections_are_of_another_worker_that_answers(two_workers: tuple[Board, Board]) -> None:
    first, second = two_workers
    first.tell_connections(1)
    second.tell_connections(5)
    assert first.fewest_connections() == math.inf
    second.beat()
    second.tell_ready()
    assert first.fewest_connections() == 5
    assert second.fewest_connections() == math.inf
    second.row[BEAT] -= HUNG_S
    assert first.fewest_connections() == math.inf


def test_numbers_are_summed_over_workers(two_workers: tuple[Board, Board]) -> None:
    for worker, board in enumerate(two_workers, start=1):
        board.counts[0] += worker
        board.counts[2] += 10 * worker
    assert two_workers[0].numbers().tolist() == [3, 0, 30]


def test_a_worker_whose_process_is_gone_is_not_ready(two_workers: tuple[Board, Board]) -> None:
    told = "from service.board import *; b = Board.join(1); b.beat(); b.tell_ready()"
    child = subprocess.Popen([sys.executable, "-c", told])
    deadline = time.monotonic() + 20
    while two_workers[0].statuses()[1].pid != child.pid or runs(child.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not two_workers[0].statuses()[1].ready  # a zombie: nobody has waited for it yet
    child.wait()
    assert not two_workers[0].statuses()[1].ready


def runs(pid: int) -> bool:
    return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def test_a_worker_whose_loop_stands_still_is_not_ready(two_workers: tuple[Board, Board]) -> None:
    first, second = two_workers
    second.beat()
    second.tell_ready()
    assert first.statuses()[1].ready
    second.row[BEAT] = time.monotonic() - HUNG_S - 0.1
    assert not first.statuses()[1].ready


def test_there_is_no_row_for_a_worker_too_many(two_workers: tuple[Board, Board]) -> None:
    assert Board.join(2) is None


def test_a_server_whose_workers_cannot_start_ends_with_status_1_and_leaves_no_table() -> None:
    program = """
import json, os, signal, sys, time
from service.board import VARIABLE, Board
from service.watchdog import end_when_a_worker_cannot_start
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
board = Board.create(["fashion"], workers=1, columns=1)
print(json.loads(os.environ[VARIABLE])["path"])
board.tell_failed()
end_when_a_worker_cannot_start(board)
time.sleep(30)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert not Path(ended.stdout.strip()).exists()
