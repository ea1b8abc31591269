"""What this client can do, shown against servers of its own: how fast it is, and what it does not hide."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Coroutine
from typing import Any

import numpy as np
import uvloop

from benchmarks.load.client import LoadClient
from benchmarks.load.histogram import Histogram
from benchmarks.load.outcome import OK, Outcome
from benchmarks.load.priority import prompt
from benchmarks.load.progress import Progress
from benchmarks.load.requests import ImageRequests
from benchmarks.load.schedule import poisson
from benchmarks.questions import ONE_PNG, Question
from benchmarks.repeats import Spread, ratio
from benchmarks.results import LOGS
from benchmarks.servers import Server, clean_environment, running
from benchmarks.tables import Table, figure, show
from benchmarks.wrk import measure

CONNECTIONS, CLASSES = 64, 10
TURNS, TURN_S = 3, 2
PAUSE_MS, PAUSE_EVERY_MS, PAUSED_S, PAUSED_RATE = 200, 2000, 6.6, 200.0
LATE_MS = 20.0  # what waits longer than this waited for the pause
DRAIN_S = 5.0
NOTHING = Question(ONE_PNG.path, ONE_PNG.template, lambda headers, body: np.zeros((1, 1, 1, 1), np.uint8))


def self_test(progress: Progress) -> int:
    """Two tables. Raises ServerError, WrkError."""
    tables = [_throughput(progress), _tail(progress)]
    show(tables)
    return 0


def _server(*options: str) -> Server:
    command = (sys.executable, "-m", "benchmarks.load.noop", "--port", "{port}", *options)
    return Server("no-op", command, clean_environment(), "/", NOTHING)


def _throughput(progress: Progress) -> Table:
    """This client and wrk in turns, against a server that does nothing."""
    has_wrk = shutil.which("wrk") is not None
    ours, cpu_us, wrk = [], [], []
    with running(_server(), LOGS / "noop.log") as process:
        for turn in range(TURNS):
            outcome = _run(_client(process.port).closed_loop(10**6, CONNECTIONS, DRAIN_S, TURN_S))
            ours.append(outcome.goodput(TURN_S, np.inf)[0])
            cpu_us.append(outcome.cpu_s * 1e6 / len(outcome.due))
            text = f"{turn + 1}/{TURNS}  this client {ours[-1]:,.0f}/s"
            if has_wrk:
                options = {
                    "num_classes": CLASSES,
                    "connections": CONNECTIONS,
                    "seconds": TURN_S,
                    "first_seed": 0,
                }
                wrk.append(measure(process.port, NOTHING, **options).requests_per_s)
                text += f"  wrk {wrk[-1]:,.0f}/s"
            progress.tell(text)
    rows: list[tuple[str, ...]] = [("this client, one process", figure(Spread.of(ours)))]
    if has_wrk:
        rows += [
            ("wrk, one thread", figure(Spread.of(wrk))),
            ("this client / wrk", figure(ratio(ours, wrk), 2)),
        ]
    rows.append(("this client's processor time a request, us", figure(Spread.of(cpu_us))))
    note = (
        f"uvicorn with uvloop and httptools on this machine, {CONNECTIONS} connections, {TURN_S} s each, "
        "in turns."
    )
    note += "" if has_wrk else " wrk is not installed."
    return Table("Peak throughput of a server that does nothing", ("", "requests/s"), rows, note=note)


def _tail(progress: Progress) -> Table:
    """The same pauses seen by an open loop and by a closed one."""
    rows: list[tuple[str, ...]] = []
    options = ("--pause-ms", str(PAUSE_MS), "--pause-every-ms", str(PAUSE_EVERY_MS))
    due = poisson(PAUSED_RATE, PAUSED_S, 0)
    with running(_server(*options), LOGS / "paused.log") as process:
        progress.tell(f"pauses of {PAUSE_MS} ms, {PAUSED_S:g} s of an open loop, then of a closed one")
        with prompt():
            outcome = _run(_client(process.port).open_loop(due, DRAIN_S))
        rows.append(("open loop", *_row(outcome)))
        outcome = _run(_client(process.port).closed_loop(10**6, 1, DRAIN_S, PAUSED_S))
        rows.append(("closed loop, one connection", *_row(outcome)))
    expected = PAUSE_MS / (PAUSE_MS + PAUSE_EVERY_MS)
    return Table(
        f"A server that stands still for {PAUSE_MS} ms every {PAUSE_EVERY_MS / 1000:g} s",
        ("", "requests", f"over {LATE_MS:g} ms", "p50 ms", "p99 ms", "max ms", "lag p99 ms"),
        rows,
        note=f"It stands still for {expected:.1%} of the time, so about as many of those who come at any "
        f"time have to wait. The open loop ({PAUSED_RATE:g}/s) sees them; the closed loop waits with the "
        "server, sends nothing meanwhile, and finds one slow answer a pause.",
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    right = outcome.latency_ms[outcome.status == OK]
    found, lag = Histogram.of(right).percentiles(), Histogram.of(outcome.lag_ms).percentile(0.99)
    times = (found["p50"], found["p99"])
    return (
        f"{len(outcome.due):,}",
        f"{(right > LATE_MS).sum() / len(outcome.due):.2%}",
        *("-" if one is None else f"{one.ms:.2f}" for one in times),
        f"{right.max():.1f}",
        "-" if lag is None else f"{lag.ms:.2f}",
    )


def _client(port: int) -> LoadClient:
    return LoadClient(port, ImageRequests(port, NOTHING.path, NOTHING.template, CLASSES))


def _run(load: Coroutine[Any, Any, Outcome]) -> Outcome:
    return uvloop.run(load)
