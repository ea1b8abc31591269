"""What a load showed, of all its processes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.load.answer import STAGES, Answer
from benchmarks.load.fleet import Report
from benchmarks.load.histogram import Histogram
from benchmarks.load.outcome import OK, Outcome
from benchmarks.load.timeline import timeline

REFUSED = 429
BANDS = ((0.0, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.0))  # of the answers, the fastest first
NINES = 1 - np.logspace(0, -4, 161)  # shares for which the curve has a point: 0 ... 99.99 %


@dataclass(frozen=True)
class Measured:
    """One load: the whole of its requests, its merged histograms, and a sample of its answers."""

    rate_per_s: float | None  # asked for; None is a closed loop
    seconds: float
    outcome: Outcome  # of all processes; nothing kept
    valid: bool  # no process lagged
    processes: int
    priority: str  # of the processes
    latency: Histogram  # of answers with status 200
    lag: Histogram
    samples: np.ndarray  # [N, 5]: latency, queue, engine, encode in ms, and the batch
    kinds: dict[str, dict[str, Any]]
    checked: int = 0  # answers of which every pixel was compared

    @classmethod
    def of(
        cls, rate_per_s: float | None, seconds: float, reports: Sequence[Report], checked: int
    ) -> Measured:
        """What the processes report, put together; histograms are merged."""
        parts = [_outcome(report) for report in reports]
        whole = Outcome.merged(parts)
        names = np.concatenate([report.job.mix.names(report.done.requests) for report in reports])
        return cls(
            rate_per_s,
            seconds,
            whole,
            rate_per_s is None or not any(part.lagged for part in parts),
            len(reports),
            reports[0].done.priority,
            Histogram.merged([report.done.latency for report in reports]),
            Histogram.merged([report.done.lag for report in reports]),
            _samples(reports, parts),
            {str(name): _kind(whole, names == name) for name in np.unique(names)},
            checked,
        )

    @property
    def requests(self) -> int:
        return len(self.outcome.due)

    @property
    def goodput_per_s(self) -> float:
        """Answers with status 200 a second, within the time of the load."""
        return self.outcome.goodput(self.seconds, np.inf)[0]

    @property
    def cpu_share(self) -> float:
        """Of one core, that each process of the client needed."""
        return self.outcome.cpu_s / self.seconds / self.processes

    def within(self, ms: float) -> float:
        """The share of all requests, also of refused and failed ones, with a right answer in time."""
        good = (self.outcome.status == OK) & (self.outcome.latency_ms <= ms)
        return float(good.mean()) if len(good) else 0.0

    def count(self, status: int) -> int:
        return int((self.outcome.status == status).sum())

    @property
    def failed(self) -> int:
        """Neither answered with 200 nor refused."""
        return self.requests - self.count(OK) - self.count(REFUSED)

    def to_json(self) -> dict[str, Any]:
        """Everything in numbers, for the report."""
        statuses, counts = np.unique(self.outcome.status, return_counts=True)
        return {
            "rate_per_s": self.rate_per_s,
            "seconds": self.seconds,
            "requests": self.requests,
            "goodput_per_s": self.goodput_per_s,
            "statuses": {str(one): int(count) for one, count in zip(statuses, counts, strict=True)},
            "answered": self.count(OK),
            "refused": self.count(REFUSED),
            "failed": self.failed,
            "valid": self.valid,
            "processes": self.processes,
            "priority": self.priority,
            "connections": self.outcome.connections,
            "client_cpu_share": self.cpu_share,
            "checked": self.checked,
            "latency": _told(self.latency),
            "lag": _told(self.lag),
            "kinds": self.kinds,
            "curve": _curve(self.latency),
            "timeline": timeline(self.outcome, self.seconds),
            "stages": self._stages(),
            "batches": self._batches(),
            "histograms": {"latency_us": self.latency.encode(), "lag_us": self.lag.encode()},
        }

    def _stages(self) -> list[dict[str, float]]:
        """Where the mean millisecond went, of all sampled answers, then of each band, the fastest first."""
        if not len(self.samples):
            return []
        ordered = self.samples[np.argsort(self.samples[:, 0])]
        rows = []
        for low, high in ((0.0, 1.0), *BANDS):
            part = ordered[round(low * len(ordered)) : round(high * len(ordered))]
            if len(part):
                means = part.mean(axis=0)
                told = dict(zip(STAGES, map(float, means[1:4]), strict=True))
                other = max(0.0, float(means[0] - means[1:4].sum()))
                rows.append({"from": low, "to": high, "answers": len(part), **told, "other": other})
        return rows

    def _batches(self) -> dict[str, int]:
        """Sampled answers by the size of the engine call they were part of."""
        sizes, counts = np.unique(self.samples[:, 4], return_counts=True)
        return {str(int(size)): int(count) for size, count in zip(sizes, counts, strict=True)}


def _outcome(report: Report) -> Outcome:
    ledger, count = report.ledger, report.done.requests
    return Outcome(
        ledger.due[:count],
        ledger.sent[:count],
        ledger.done[:count],
        ledger.status[:count],
        report.done.connections,
        report.done.cpu_s,
    )


def _samples(reports: Sequence[Report], parts: Sequence[Outcome]) -> np.ndarray:
    rows = []
    for report, part in zip(reports, parts, strict=True):
        for kept in report.done.kept:
            answer = Answer.parse(kept.raw)
            if answer.status == OK and (stages := answer.stages_ms) and answer.batch:
                rows.append((part.latency_ms[kept.number], *stages, answer.batch))
    return np.array(rows, np.float64).reshape(-1, 2 + len(STAGES))


def _told(histogram: Histogram) -> dict[str, Any]:
    found = {name: asdict(one) if one else None for name, one in histogram.percentiles().items()}
    return {"samples": histogram.count, **found, "max_ms": histogram.max_ms}


def _kind(whole: Outcome, mine: np.ndarray) -> dict[str, Any]:
    """Of one kind of requests."""
    right = whole.latency_ms[mine & (whole.status == OK)]
    return {"requests": int(mine.sum()), "answered": len(right), "latency": _told(Histogram.of(right))}


def _curve(histogram: Histogram) -> list[tuple[float, float]]:
    """Share of the answers, and the ms that they did not exceed; no further than there are answers."""
    count = histogram.count
    places = [share for share in NINES if count and share <= 1 - 1 / count]
    return [(float(share), histogram.at_rank(max(1, int(np.ceil(share * count))))) for share in places]
