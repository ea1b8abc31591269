"""The guard: the service's own path is what is counted, and a dearer one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import service.http
from benchmarks.guard import driver, guard
from benchmarks.guard.counting import REFERENCE, CountingFailed, count, instructions
from benchmarks.guard.guard import Cost, costs, remember, remembered
from benchmarks.guard.report import tables
from benchmarks.guard.rig import Rig, WrongReply
from benchmarks.guard.workloads import request, workloads
from benchmarks.results import ResultError


@pytest.mark.parametrize("header", ["", "x-general: yes\r\n"], ids=["short way", "general way"])
def test_the_rig_answers_as_the_service_does(grey: Path, header: str) -> None:
    rig = Rig(grey, 4)
    last = rig.answer([request(n % 3, n, header) for n in range(10)])
    rig.close()
    assert last.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-seed: 9\r\n" in last
    assert b"x-batch-size: 2\r\n" in last  # the ninth and tenth of four at a time
    assert rig.models.metrics.exposition().count(b'mintage_images_total{model="grey"} 10.0') == 1


def test_a_reply_that_is_no_image_is_not_counted(grey: Path) -> None:
    rig = Rig(grey, 2)
    with pytest.raises(WrongReply, match="422 Unprocessable"):
        rig.answer([request(0, 1), request(99, 2)])
    rig.close()


def test_the_driver_does_every_workload_between_two_marks(
    grey: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.http, "PATIENCE_S", service.http.PATIENCE_S)  # the driver changes it
    marks: list[int] = []
    monkeypatch.setattr(driver, "_mark", lambda: marks.append(0))
    assert driver.main(["--model", str(grey), "--repeats", "2", "--count", "5", "--extra", "{}"]) == 0
    blocks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(marks) == 2 * len(blocks)
    assert blocks[: len(blocks) // 2] == blocks[len(blocks) // 2 :]
    assert [block["workload"] for block in blocks].count(REFERENCE) == 2
    assert {block["count"] for block in blocks} == {5}


def test_a_fifth_dearer_is_an_alarm_on_another_machine_too() -> None:
    before = {REFERENCE: 1.0, "same": 3.0, "dearer": 3.0, "cheaper": 3.0}
    counts = {  # all of it doubled, as with another build of Python
        REFERENCE: [200.0, 200.0, 400.0],
        "same": [600.0, 600.0, 1200.0],
        "dearer": [726.0, 727.0, 1440.0],
        "cheaper": [300.0, 300.0, 600.0],
        "added": [100.0, 100.0, 200.0],
    }
    found = {cost.workload: cost for cost in costs(counts, before)}
    assert found["dearer"].change == pytest.approx(0.21)
    assert [name for name, cost in found.items() if cost.is_alarming] == ["dearer"]
    assert found["added"].change is None
    (table,) = tables(
        {"manifest": {"settings": {"repeats": 3}}, "costs": [cost.to_json() for cost in found.values()]}
    )
    assert [row[-1] for row in table.rows] == ["+0.0%", "+0.0%", "+21.0% DEARER", "-50.0%", "new"]


def test_what_is_remembered_is_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    with pytest.raises(ResultError, match=r"python -m benchmarks guard --write"):
        remembered(file)
    found: list[Cost] = costs({REFERENCE: [100.0], "png": [26.4]}, {})
    remember(found, {"python": "3.11"}, file)
    assert remembered(file) == {REFERENCE: 1.0, "png": 0.264}
    assert [cost.change for cost in costs({REFERENCE: [100.0], "png": [26.4]}, remembered(file))] == [0, 0]


def test_every_workload_is_remembered_in_the_repository(grey: Path) -> None:
    assert set(remembered(guard.FILE)) == set(workloads(grey))


def test_counting_needs_valgrind_and_its_totals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = tmp_path / "counts.2"
    with pytest.raises(CountingFailed, match="no line of totals"):
        instructions(dump)
    dump.write_text("events: Ir\nsummary: 12\n\ntotals: 39154302\n")
    assert instructions(dump) == 39154302
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CountingFailed, match="apt-get install valgrind"):
        count(tmp_path, 1, {})
