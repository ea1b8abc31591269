"""Load after load of a minute each, at a share of the capacity, and after each a look at the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil

from benchmarks.load.histogram import Histogram
from benchmarks.load.measured import REFUSED, Measured
from benchmarks.load.outcome import OK
from benchmarks.load.progress import Progress
from benchmarks.load.session import session_on
from benchmarks.mintage import mintage
from benchmarks.results import HOME, LOGS, Json
from benchmarks.servers import family, running
from generator import Generator

PEAK_CONNECTIONS, PEAK_S = 64, 5.0
CAPACITY_S = 20.0
WARM_UP_S = 3.0
RANDOM_SEED = 20


@dataclass(frozen=True)
class Weight:
    """A process and all its descendants together."""

    uss_mib: float  # what would be free if they ended
    files: int  # open file handles, sockets among them
    threads: int

    @classmethod
    def of(cls, pid: int, without: int | None = None) -> Weight:
        """Those of `without` are left out, and who ends meanwhile, as a worker does that is replaced."""
        uss = files = threads = 0
        others = [] if without is None else family(without)
        for process in [one for one in family(pid) if one not in others]:
            with suppress(psutil.NoSuchProcess):
                seen = process.memory_full_info().uss, process.num_fds(), process.num_threads()
                uss, files, threads = uss + seen[0], files + seen[1], threads + seen[2]
        return cls(uss / 2**20, files, threads)


def soak(
    generator: Generator, mix: str, share: float, minutes: int, minute_s: float, progress: Progress
) -> Iterator[Json]:
    """The result so far, after each minute; pixels of a sample are compared in each.

    The capacity is what is answered of an open loop with the rate of a closed loop's peak: less than that,
    since a client that sends when requests are due costs more, and makes smaller batches.

    Raises ServerError, FleetError, TargetError, MixError, NothingAnswered, WrongAnswer.
    """
    result: Json = {"minutes": []}
    server = mintage(generator.artifact.path, HOME)
    with (
        running(server, LOGS / "soak.log") as process,
        session_on(process, generator, mix, RANDOM_SEED, progress) as session,
    ):
        session.first_requests()
        session.closed(PEAK_CONNECTIONS, WARM_UP_S, "warm-up")
        result["peak_per_s"] = peak = session.closed(PEAK_CONNECTIONS, PEAK_S, "peak").goodput_per_s
        at_peak = session.open(peak, CAPACITY_S, "capacity")
        result["capacity_per_s"], result["capacity_valid"] = at_peak.goodput_per_s, at_peak.valid
        result["rate_per_s"] = rate = share * at_peak.goodput_per_s
        result["before"] = asdict(Weight.of(process.process.pid))
        whole = Histogram()
        psutil.cpu_percent()  # from here on: its first answer is 0
        for number in range(1, minutes + 1):
            seen = session.open(rate, minute_s, f"minute {number} of {minutes}")
            whole = Histogram.merged([whole.encode(), seen.latency.encode()])
            result["minutes"].append(_minute(seen, process.process.pid))
            result["latency"] = whole.encode()
            result["whole"] = percentiles(whole)
            yield result


def _minute(seen: Measured, server: int) -> Json:
    return {
        "requests": seen.requests,
        "answered": seen.count(OK),
        "refused": seen.count(REFUSED),
        "failed": seen.failed,
        "valid": seen.valid,
        "checked": seen.checked,
        "client_cpu_share": seen.cpu_share,
        "client_uss_mib": Weight.of(os.getpid(), without=server).uss_mib,
        "machine_cpu_percent": psutil.cpu_percent(),  # since the last call
        **percentiles(seen.latency),
        **asdict(Weight.of(server)),
    }


def percentiles(histogram: Histogram) -> Json:
    """In ms; None where there are too few answers for one."""
    found = histogram.percentiles()
    return {
        **{f"{name}_ms": one.ms if one else None for name, one in found.items()},
        "max_ms": histogram.max_ms,
        "samples": histogram.count,
    }
