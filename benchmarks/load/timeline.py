"""A load along its time: what was asked, answered and refused in each part of it, and how fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.load.outcome import OK, Outcome, percentiles

PARTS = 60
LEAST_S = 0.25  # of a part


def timeline(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Rates a second of each part by when requests were due, or answered; latencies by when they were due.

    A part with too few answers for a percentile has None in its place.
    """
    parts = max(1, min(PARTS, int(seconds / LEAST_S)))
    step_s = seconds / parts

    def rates(times: np.ndarray) -> list[float]:
        counts, _ = np.histogram(times[np.isfinite(times)], bins=parts, range=(0, seconds))
        return [float(count) / step_s for count in counts]

    right = outcome.status == OK
    part_of = np.nan_to_num(outcome.due / step_s).astype(int)
    latencies = [percentiles(outcome.latency_ms[right & (part_of == part)]) for part in range(parts)]
    return {
        "step_s": step_s,
        "asked_per_s": rates(outcome.due),
        "answered_per_s": rates(outcome.done[right]),
        "not_answered_per_s": rates(outcome.due[~right]),
        "p50_ms": [found["p50_ms"] for found in latencies],
        "p99_ms": [found["p99_ms"] for found in latencies],
        "max_ms": [found["max_ms"] for found in latencies],
    }
