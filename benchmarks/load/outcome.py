"""What came of a load: latencies from when each request was due, statuses, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.load.intervals import ranks
from benchmarks.load.ledger import BROKEN, Statuses, Times

OK = 200
NOTHING_DUE = "no request was due: a higher rate or more seconds"
MAX_LAG_MS = 10.0  # p99: a client that is later than this measures itself
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "max_ms": 100.0}


@dataclass(frozen=True)
class Outcome:
    """Arrays over the requests, times in seconds from the start; NaN where something never happened."""

    due: Times
    sent: Times
    done: Times
    status: Statuses  # of HTTP; BROKEN: no answer
    connections: int  # open at once, at most
    cpu_s: float  # of the client's process
    kept: tuple[tuple[int, bytes], ...] = ()  # the number and the whole of some answers

    @classmethod
    def merged(cls, parts: Sequence[Outcome]) -> Outcome:
        """Of several clients that began together; what they kept is left out."""
        return cls(
            due=np.concatenate([part.due for part in parts]),
            sent=np.concatenate([part.sent for part in parts]),
            done=np.concatenate([part.done for part in parts]),
            status=np.concatenate([part.status for part in parts]),
            connections=sum(part.connections for part in parts),
            cpu_s=sum(part.cpu_s for part in parts),
        )

    @property
    def latency_ms(self) -> Times:
        """From due to answered; NaN without an answer."""
        return (self.done - self.due) * 1000

    @property
    def lag_ms(self) -> Times:
        """From due to sent: the client's own delay. Infinite for what was due and never sent."""
        return np.where(np.isnan(self.sent), np.inf, self.sent - self.due) * 1000

    @property
    def lagged(self) -> bool:
        """Was the client too slow for its figures to mean anything? Not where nothing was due."""
        return len(self.due) > 0 and float(np.percentile(self.lag_ms, 99, method="higher")) > MAX_LAG_MS

    def goodput(self, seconds: float, timeout_ms: float, parts: int = 1) -> list[float]:
        """200 answers a second within the timeout, in each of the equal parts of the first `seconds`."""
        good = (self.status == OK) & (self.latency_ms <= timeout_ms)
        counts, _ = np.histogram(self.done[good], bins=parts, range=(0, seconds))
        return [int(count) / (seconds / parts) for count in counts]

    def report(self, seconds: float, timeout_ms: float) -> dict[str, Any]:
        """Everything in numbers; percentiles are of answers with status 200."""
        counts = {str(int(status)): int((self.status == status).sum()) for status in np.unique(self.status)}
        right = self.latency_ms[self.status == OK]
        return {
            "requests": len(self.due),
            "offered_per_s": len(self.due) / seconds,
            "goodput_per_s": self.goodput(seconds, timeout_ms)[0],
            "goodput_by_tenth_per_s": self.goodput(seconds, timeout_ms, parts=10),
            "broken": counts.pop(str(BROKEN), 0),
            "statuses": counts,
            "late": int((right > timeout_ms).sum()),
            "latency": percentiles(right),
            "lag": percentiles(self.lag_ms),
            "valid": not self.lagged,
            "connections": self.connections,
            "client_cpu_s": self.cpu_s,
        }


def percentiles(values: Times) -> dict[str, float | None]:
    """p50, p90, p99 and the largest, as they occurred, not interpolated.

    None where there are too few values for an interval (`ranks`), and of infinity.
    """
    if not len(values):
        return dict.fromkeys(PERCENTILES)
    at = np.percentile(values, list(PERCENTILES.values()), method="higher")
    return {
        name: float(value)
        if np.isfinite(value) and (percent == 100 or ranks(len(values), percent / 100))
        else None
        for (name, percent), value in zip(PERCENTILES.items(), at, strict=True)
    }
