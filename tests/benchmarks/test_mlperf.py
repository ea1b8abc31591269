"""LoadGen over real systems: every sample once, the right pixels, its verdicts as they are."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mlperf.accuracy import LOG, check
from benchmarks.mlperf.engine_system import EngineSystem
from benchmarks.mlperf.report import tables, went_wrong
from benchmarks.mlperf.runs import Plan, highest_rate, measure
from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.service_system import ServiceSystem
from benchmarks.mlperf.summary import SUMMARY, read_summary
from benchmarks.mlperf.system import System
from benchmarks.mlperf.trial import STEP
from benchmarks.results import ResultError
from generator import Generator
from tests.service.test_server import serving

SAMPLES = Samples(num_classes=3, count=200)
INVALID = """
Scenario : Server
Completed samples per second    : 92.51
Result is : INVALID
  Performance constraints satisfied : NO
  Min duration satisfied : Yes
  Early stopping satisfied: NO
50.00 percentile latency (ns)   : 243346
99.00 percentile latency (ns)   : 23590594

1 ERROR encountered. See detailed log.
"""


class Collected:
    """What a system answers, by the ids that it was asked with."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()

    def done(self, ids: Sequence[int], answers: Sequence[bytes]) -> None:
        for pair in zip(ids, answers, strict=True):
            self._answers.put(pair)

    def take(self, count: int) -> dict[int, bytes]:
        return dict(self._answers.get(timeout=30) for _ in range(count))


def right(grey: Path, indices: Sequence[int]) -> list[bytes]:
    labels, seeds = [SAMPLES.label(i) for i in indices], [SAMPLES.seed(i) for i in indices]
    return [image.tobytes() for image in Generator.open(grey).images(labels, seeds)]


def answers_of(system: System, collected: Collected) -> list[bytes]:
    """One sample, eight in one query, and more than a batch or a request takes, all at once."""
    for start, stop in ((0, 1), (1, 9), (9, 200)):
        system.issue([(1000 + index, index) for index in range(start, stop)])
    got = collected.take(200)
    assert sorted(got) == list(range(1000, 1200))
    return [got[1000 + index] for index in range(200)]


def test_the_engine_answers_every_sample_with_its_image(grey: Path) -> None:
    collected = Collected()
    system = EngineSystem(grey, 1, SAMPLES, collected.done)
    assert answers_of(system, collected) == right(grey, range(200))
    assert system.failed == 0
    system.close()


@pytest.fixture(scope="module")
def port(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("home"), models=models_folder) as (url, _):
        yield int(url.rsplit(":", 1)[1])


def test_the_service_answers_every_sample_with_its_image(grey: Path, port: int) -> None:
    collected = Collected()
    system = ServiceSystem(port, "grey", 4, SAMPLES, collected.done, decode=True)
    assert answers_of(system, collected) == right(grey, range(200))
    assert system.failed == 0
    system.close()


def test_an_answer_that_is_no_image_is_a_failed_one(port: int) -> None:
    collected = Collected()
    system = ServiceSystem(port, "green", 2, SAMPLES, collected.done, decode=True)
    system.issue([(7, 0), (8, 1)])
    assert collected.take(2) == {7: b"", 8: b""}
    assert system.failed == 2
    system.close()


def test_a_test_of_loadgen_leaves_its_logs_and_a_line_of_the_table(grey: Path, tmp_path: Path) -> None:
    plan = Plan(full=False, seconds=0.2, latency_ms=1000, target_qps=2000)
    (found,) = measure(grey, ["engine"], ["Server"], plan, tmp_path, tell=lambda text: None)
    assert (tmp_path / "engine" / "Server" / "mlperf_log_detail.txt").is_file()
    assert found["target_qps"] == 2000
    assert found["accuracy"] == {"images": 4096, "pixels": 4096 * 14 * 14, "wrong": 0, "largest": 0}
    settings = {"full": False, "seconds": 0.2, "latency_ms": 1000}
    (table,) = tables({"manifest": {"settings": settings}, "runs": [found]})
    (row,) = table.rows
    assert row[0] == "engine, Server"
    assert row[-1] == "0 of 802,816"
    assert not went_wrong(found)
    failed = {**found, "valid": True, "failed": 3}
    assert went_wrong(failed)
    assert went_wrong({**found, "accuracy": {**found["accuracy"], "wrong": 1}})
    (table,) = tables({"manifest": {"settings": settings}, "runs": [failed]})
    assert table.rows[0][3] == "INVALID: answers that failed: 3"


@pytest.mark.parametrize("limit", [150.0, 1000.0, 3000.0])
def test_the_rate_found_is_valid_and_a_step_more_is_not(limit: float) -> None:
    found = highest_rate(lambda rate: rate <= limit, 600.0)
    assert found <= limit < found * STEP


def test_without_a_rate_the_highest_valid_one_is_looked_for(grey: Path, tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan(full=False, seconds=0.2, latency_ms=50, target_qps=None)
    (found,) = measure(grey, ["engine"], ["Server"], plan, tmp_path, told.append)
    tried = [line for line in told if line.endswith("VALID")]
    assert len(tried) >= 2
    assert (tmp_path / "engine" / "Server" / "search" / "first" / SUMMARY).is_file()
    searched = [float(path.name) for path in (tmp_path / "engine/Server/search").glob("[0-9]*")]
    assert len(searched) == len(tried)
    assert 0 < found["target_qps"] <= max(searched) + 1


def test_the_verdict_is_loadgens(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no summary of a performance run"):
        read_summary(tmp_path)
    (tmp_path / SUMMARY).write_text(INVALID)
    summary = read_summary(tmp_path)
    assert (summary.result, summary.unit, summary.valid) == (92.51, "queries/s", False)
    assert summary.why == ("Performance constraints", "Early stopping")
    assert (summary.p50_ms, summary.p99_ms, summary.errors) == (0.243346, 23.590594, 1)


def test_every_wrong_pixel_is_counted(grey: Path, tmp_path: Path) -> None:
    samples, generator = Samples(3, count=4), Generator.open(grey)
    images = generator.images([0, 1, 2, 0], [0, 1, 2, 3]).reshape(4, -1)
    images[2, 5:8] = np.where(images[2, 5:8] < 128, images[2, 5:8] + 9, images[2, 5:8] - 9)
    entries = [{"qsl_idx": index, "data": images[index].tobytes().hex()} for index in (3, 1, 2, 0)]
    (tmp_path / LOG).write_text(json.dumps(entries))
    accuracy = check(tmp_path, generator, samples)
    assert (accuracy.images, accuracy.wrong, accuracy.largest) == (4, 3, 9)
    assert accuracy.in_words == "3 of 784, by at most 9"
    (tmp_path / LOG).write_text(json.dumps(entries[1:]))
    with pytest.raises(ResultError, match="not one for each of 4"):
        check(tmp_path, generator, samples)


def test_full_tests_have_the_official_numbers_of_queries(tmp_path: Path) -> None:
    trial = Plan(True, None, 20, None).trial("Server", "PerformanceOnly", tmp_path)
    assert (trial.queries, trial.seconds, trial.latency_ms) == (270_336, 600, 20)
    assert Plan(True, 60, 20, None).trial("SingleStream", "PerformanceOnly", tmp_path).queries == 24_576
