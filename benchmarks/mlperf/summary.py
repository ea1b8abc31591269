"""LoadGen's summary, read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import ResultError

SUMMARY = "mlperf_log_summary.txt"
FIGURES = {  # scenario -> the line of its result, and what it is in
    "SingleStream": ("90.0th percentile latency (ns)", "p90, ms"),
    "MultiStream": ("99.0th percentile latency (ns)", "p99, ms"),
    "Server": ("Completed samples per second", "queries/s"),
    "Offline": ("Samples per second", "images/s"),
}
P50, P99 = "50.00 percentile latency (ns)", "99.00 percentile latency (ns)"


@dataclass(frozen=True)
class Summary:
    """What LoadGen says of a performance run."""

    scenario: str
    result: float  # in `unit`
    unit: str
    valid: bool
    why: tuple[str, ...]  # constraints that were not satisfied
    p50_ms: float
    p99_ms: float
    errors: int  # that LoadGen reports


def read_summary(folder: Path) -> Summary:
    """Raises ResultError where there is none, or none of a performance run."""
    file = folder / SUMMARY
    text = file.read_text() if file.is_file() else ""
    fields = dict(re.findall(r"^\s*(.+?)\s*: (.+?)\s*$", text, re.MULTILINE))
    try:
        name, unit = FIGURES[fields["Scenario"]]
        result = float(fields[name]) / (1e6 if unit.endswith("ms") else 1)
        return Summary(
            scenario=fields["Scenario"],
            result=result,
            unit=unit,
            valid=fields["Result is"] == "VALID",
            why=tuple(re.findall(r"^\s*(.+?) satisfied\s*: NO$", text, re.MULTILINE)),
            p50_ms=int(fields[P50]) / 1e6,
            p99_ms=int(fields[P99]) / 1e6,
            errors=int((re.findall(r"^(\d+) ERRORS? encountered", text, re.MULTILINE) or ["0"])[0]),
        )
    except (KeyError, ValueError) as error:
        raise ResultError(f"{file} is no summary of a performance run: {error} is missing") from error
