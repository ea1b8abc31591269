"""One test of LoadGen: a scenario, a mode, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Scenario = Literal["SingleStream", "MultiStream", "Server", "Offline"]
SCENARIOS: Sequence[Scenario] = get_args(Scenario)
Mode = Literal["PerformanceOnly", "AccuracyOnly"]
MULTI_STREAM = 8  # samples of a query, as MLPerf has it

# Queries for a percentile to within a twentieth of its distance from 100 %, with 99 % confidence: 23,886 for
# p90 and 262,742 for p99, which MLPerf rounds up to multiples of 2^13. Offline: samples.
OFFICIAL: dict[Scenario, int] = {
    "SingleStream": 24_576,
    "MultiStream": 270_336,
    "Server": 270_336,
    "Offline": 24_576,
}
OFFICIAL_S = 600.0
SHORT: dict[Scenario, int] = {"SingleStream": 64, "MultiStream": 662, "Server": 662, "Offline": 1}
SHORT_S = 5.0
STEP = 1.15  # from one rate that is tried in the scenario Server to the next


@dataclass(frozen=True)
class Trial:
    """What one process of LoadGen is told."""

    scenario: Scenario
    mode: Mode
    seconds: float  # at least
    queries: int  # at least
    latency_ms: float  # the bound on p99 in the scenario Server
    target_qps: float | None  # in the scenario Server; None: half of what the system answers in a closed loop
    folder: Path  # of LoadGen's logs
