"""LoadGen's own API: settings, a library of samples, a system under test, a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import mlperf_loadgen as lg
import numpy as np

from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.system import System
from benchmarks.mlperf.trial import MULTI_STREAM, Scenario, Trial

# Queries at a time and samples of a query, to find a system's rate before the test.
CLOSED_LOOPS: dict[Scenario, tuple[int, int]] = {
    "SingleStream": (1, 1),
    "MultiStream": (1, MULTI_STREAM),
    "Server": (64, 1),
    "Offline": (1, 1024),
}
CALIBRATION_S = 0.5
HEADROOM = 2  # LoadGen prepares its queries before: more than are needed, or the test ends too early
EASY = 0.5  # of the rate of a closed loop: where queues are short


def run(trial: Trial, system: System, samples: Samples) -> float | None:
    """One test; the queries a second that were asked for in the scenario Server.

    LoadGen keeps state of its own: one test a process.
    """
    rate = closed_loop_rate(system, samples, *CLOSED_LOOPS[trial.scenario])
    settings, target_qps = _settings(trial, rate)
    system.done = complete
    sut = lg.ConstructSUT(
        lambda asked: system.issue([(sample.id, sample.index) for sample in asked]), lambda: None
    )
    qsl = lg.ConstructQSL(samples.count, samples.count, lambda indices: None, lambda indices: None)
    trial.folder.mkdir(parents=True, exist_ok=True)
    lg.StartTestWithLogSettings(sut, qsl, settings, _log_settings(trial))
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)
    return target_qps


def complete(ids: Sequence[int], answers: Sequence[bytes]) -> None:
    """Tells LoadGen, which reads the answers' memory before this returns."""
    arrays = [np.frombuffer(answer, np.uint8) for answer in answers]
    lg.QuerySamplesComplete(
        [
            lg.QuerySampleResponse(number, array.ctypes.data, array.nbytes)
            for number, array in zip(ids, arrays, strict=True)
        ]
    )


def closed_loop_rate(system: System, samples: Samples, at_once: int, size: int) -> float:
    """Queries of `size` samples a second without LoadGen, `at_once` at a time; also warms the system up."""
    finished = threading.Event()
    left = 0

    def done(ids: Sequence[int], answers: Sequence[bytes]) -> None:
        nonlocal left
        left -= len(ids)
        if not left:
            finished.set()

    system.done = done
    made, began = 0, time.perf_counter()
    query = [(number, number % samples.count) for number in range(size)]
    while time.perf_counter() - began < CALIBRATION_S:
        finished.clear()
        left = at_once * size
        for _ in range(at_once):
            system.issue(query)
        finished.wait()
        made += at_once
    return made / (time.perf_counter() - began)


def _settings(trial: Trial, rate: float) -> tuple[lg.TestSettings, float | None]:
    settings = lg.TestSettings()
    settings.scenario = getattr(lg.TestScenario, trial.scenario)
    settings.mode = getattr(lg.TestMode, trial.mode)
    settings.min_duration_ms = round(trial.seconds * 1000)
    settings.min_query_count = trial.queries
    expected_ns = round(1e9 / rate / HEADROOM)
    if trial.scenario == "SingleStream":
        settings.single_stream_expected_latency_ns = expected_ns
    elif trial.scenario == "MultiStream":
        settings.multi_stream_samples_per_query = MULTI_STREAM
        settings.multi_stream_expected_latency_ns = expected_ns
    elif trial.scenario == "Offline":
        samples_per_s = rate * CLOSED_LOOPS["Offline"][1] * HEADROOM
        settings.offline_expected_qps = max(samples_per_s, trial.queries / trial.seconds)
    else:
        target_qps = trial.target_qps or round(rate * EASY)
        settings.server_target_qps = target_qps
        settings.server_target_latency_ns = round(trial.latency_ms * 1e6)
        settings.server_target_latency_percentile = 0.99
        return settings, target_qps
    return settings, None


def _log_settings(trial: Trial) -> lg.LogSettings:
    output = lg.LogOutputSettings()
    output.outdir = str(trial.folder)
    output.copy_summary_to_stdout = False
    settings = lg.LogSettings()
    settings.log_output = output
    settings.enable_trace = False
    return settings
