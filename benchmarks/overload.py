"""What is left of the service when twice as many requests come as it can answer."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load.session import session_on
from benchmarks.measuring import load, warm_up
from benchmarks.results import LOGS, Json
from benchmarks.servers import Server, running
from generator import Generator

FACTOR = 2.0
PEAK_CONNECTIONS = 64
SERVICE_TIMEOUT_MS = 10_000  # the service's default: what comes later than this is of no use
TOGETHER_S = 0.005  # requests due so close go out at once: the client's share of the cores is not asked for


@dataclass(frozen=True)
class Overload:
    """One server: its peak in a closed loop, then what an open loop of twice that got out of it."""

    peak_per_s: float
    report: Json  # of Outcome

    @property
    def goodput_per_s(self) -> float:
        return float(self.report["goodput_per_s"])

    @property
    def goodput_at_last_per_s(self) -> float:
        """Over the second half, when queues have filled: a server that collapses shows it here."""
        tenths: list[float] = self.report["goodput_by_tenth_per_s"]
        return sum(tenths[5:]) / 5

    @property
    def valid(self) -> bool:
        return bool(self.report["valid"])


def overload(server: Server, generator: Generator, *, peak_s: int, seconds: float) -> Overload:
    """Raises ServerError, WrkError, WrongAnswer, FleetError, NothingAnswered."""
    with running(server, LOGS / "overload.log") as process:
        warm_up(process, generator)
        peak = load(process, generator, PEAK_CONNECTIONS, peak_s).requests_per_s
        with session_on(process, generator) as session:
            measured = session.open(FACTOR * peak, seconds, together_s=TOGETHER_S)
    return Overload(peak, measured.outcome.report(seconds, SERVICE_TIMEOUT_MS))
