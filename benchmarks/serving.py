"""What serving costs: our service against the engine alone, one question a row."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from benchmarks.load.session import session_on
from benchmarks.measuring import visit
from benchmarks.mintage import mintage
from benchmarks.overload import FACTOR, overload
from benchmarks.peers.catalogue import CATALOGUE
from benchmarks.peers.settings import Encoder
from benchmarks.questions import ARRAY_OF_64, ONE_PNG, Question
from benchmarks.repeats import Spread, ratio
from benchmarks.results import HOME, LOGS, Json
from benchmarks.servers import ROOT, Server, running
from benchmarks.tuning import tuned
from generator import Generator

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SEARCH_S = 2  # for each batch, to find the best
MEMORY_AFTER = (10_000, 100_000)  # requests
MEMORY_CONNECTIONS, MEMORY_S = 16, 600.0  # at most
FASTAPI: dict[Encoder, str] = {
    "ours": "our engine and encoder", "encoder": "our encoder", "shipped": "as it is",
}  # fmt: skip

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """How much of everything, and whom to tell."""

    repeats: int
    seconds: int  # of each load
    overload_s: float
    memory_after: tuple[int, ...]
    tell: Tell


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of ours, another it is held against, and their ratio."""

    name: str
    unit: str
    ours: Spread
    against: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None  # ours / theirs, repeat by repeat
    details: Any = None

    def to_json(self) -> Json:
        return asdict(self)


def _row(
    name: str, unit: str, ours: list[float], against: str, theirs: list[float], details: Any = None
) -> Row:
    return Row(name, unit, Spread.of(ours), against, Spread.of(theirs), ratio(ours, theirs), details)


def arrays(generator: Generator, run: Run) -> list[Row]:
    """64 images a request as one array, 4 connections, against the engine at batch 64."""
    ours, raw = _in_turns(generator, ARRAY_OF_64, 4, [64], run)
    return [_row("64 images a request as npy, 4 connections", "images/s", ours, "engine, batch 64", raw[64])]


def pngs(generator: Generator, run: Run) -> list[Row]:
    """One PNG a request, 64 connections, against the engine at batch 64 and at its best batch."""
    rates = {batch: _raw(generator, batch, SEARCH_S) for batch in BATCHES}
    best = max(rates, key=lambda batch: rates[batch])
    run.tell(f"engine alone: best at batch {best}")
    ours, raw = _in_turns(generator, ONE_PNG, 64, sorted({64, best}), run)
    size = generator.spec.image_size
    name = f"{size} x {size}, one PNG a request, 64 connections"
    return [
        _row(name, "images/s", ours, "engine, batch 64", raw[64]),
        _row(name, "images/s", ours, f"engine, best batch ({best})", raw[best], {"engine by batch": rates}),
    ]


def _in_turns(
    generator: Generator, question: Question, connections: int, batches: list[int], run: Run
) -> tuple[list[float], dict[int, list[float]]]:
    """Images a second of the service and of the engine at each batch, in turns."""
    server = mintage(generator.artifact.path, HOME, question=question)
    ours: list[float] = []
    raw: dict[int, list[float]] = {batch: [] for batch in batches}
    for repeat in range(run.repeats):
        seen = visit(server, generator, [connections], run.seconds)
        ours.append(seen.loads[connections].requests_per_s * question.images)
        for batch in batches:
            raw[batch].append(_raw(generator, batch, run.seconds))
        engine = "  ".join(f"batch {batch}: {rates[-1]:,.0f}/s" for batch, rates in raw.items())
        run.tell(f"{repeat + 1}/{run.repeats}  served {ours[-1]:,.0f}/s  engine {engine}")
    return ours, raw


def _raw(generator: Generator, batch: int, seconds: float) -> float:
    """`python -m benchmarks raw`: a process of its own, as the service is."""
    arguments = ["raw", "--model", str(generator.artifact.path), "--batch", str(batch)]
    command = [sys.executable, "-m", "benchmarks", *arguments, "--seconds", str(seconds)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(json.loads(result.stdout)["images_per_s"])


def overloads(generator: Generator, run: Run) -> list[Row]:
    """Goodput when Poisson arrivals come at twice the peak."""
    server = mintage(generator.artifact.path, HOME)
    seen = []
    for repeat in range(run.repeats):
        seen.append(overload(server, generator, peak_s=run.seconds, seconds=run.overload_s))
        last = seen[-1]
        run.tell(
            f"{repeat + 1}/{run.repeats}  peak {last.peak_per_s:,.0f}/s  "
            f"goodput {last.goodput_per_s:,.0f}/s, at last {last.goodput_at_last_per_s:,.0f}/s  "
            f"{last.report['statuses']}" + ("" if last.valid else "  INVALID: the client lagged")
        )
    size = generator.spec.image_size
    goodput, peak = [one.goodput_per_s for one in seen], [one.peak_per_s for one in seen]
    name = f"{size} x {size}, goodput at {FACTOR:g} x the peak" + (
        "" if all(one.valid for one in seen) else " (INVALID: the client lagged)"
    )
    at_last, reports = [one.goodput_at_last_per_s for one in seen], [one.report for one in seen]
    refused = [100 * report["statuses"].get("429", 0) / report["requests"] for report in reports]
    lost = [float(report["requests"] - _answered(report)) for report in reports]
    return [
        _row(name, "images/s", goodput, "peak, closed loop", peak, reports),
        _row("the same, second half of the run", "images/s", at_last, "peak, closed loop", peak),
        Row("refused meanwhile (429)", "%", Spread.of(refused)),
        Row("neither answered in time nor refused", "requests", Spread.of(lost)),
        Row(
            "lag of the load client, p99",
            "ms",
            Spread.of([report["lag"]["p99_ms"] or inf for report in reports]),
        ),
    ]


def _answered(report: Json) -> int:
    """How many requests got what they should under overload: an image in time, or a refusal."""
    statuses: dict[str, int] = report["statuses"]
    return statuses.get("200", 0) - int(report["late"]) + statuses.get("429", 0)


def starts(generator: Generator, run: Run) -> list[Row]:
    """From the start of the process until ready, and the first request."""
    server = mintage(generator.artifact.path, HOME)
    ready, first = [], []
    for repeat in range(run.repeats):
        with running(server, LOGS / "start.log") as process:
            ready.append(process.ready_s)
            first.append(process.first_request_ms)
        run.tell(f"{repeat + 1}/{run.repeats}  ready {ready[-1]:.2f} s  first request {first[-1]:.1f} ms")
    return [
        Row("process start to ready", "s", Spread.of(ready)),
        Row("first request", "ms", Spread.of(first)),
    ]


def memory(generator: Generator, run: Run) -> list[Row]:
    """Of one worker, after many requests and after ten times as many."""
    rows, asked = [], 0
    with (
        running(mintage(generator.artifact.path, HOME), LOGS / "memory.log") as process,
        session_on(process, generator) as session,
    ):
        for count in run.memory_after:
            session.closed(MEMORY_CONNECTIONS, MEMORY_S, count=count - asked)
            asked, weight = count, process.memory()
            mib = weight.uss_bytes / 2**20
            run.tell(f"after {count:,} requests: USS {mib:.1f} MiB, RSS {weight.rss_bytes / 2**20:.1f} MiB")
            name = f"memory of one worker after {count:,} requests (USS)"
            rows.append(Row(name, "MiB", Spread.of([mib]), details=asdict(weight)))
    return rows


def lone(generator: Generator, run: Run) -> list[Row]:
    """One request at a time: does batching cost where there is nothing to batch?"""
    model = generator.artifact.path
    servers = [mintage(model, HOME), *_unbatched(model)]
    p50: list[list[float]] = [[] for _ in servers]
    for repeat in range(run.repeats):
        for server, values in zip(servers, p50, strict=True):
            values.append(visit(server, generator, [1], run.seconds).loads[1].p50_ms)
        run.tell(f"{repeat + 1}/{run.repeats}  p50 " + "  ".join(f"{values[-1]:.2f} ms" for values in p50))
    return [
        _row(
            "one request at a time, p50",
            "ms",
            p50[0],
            f"FastAPI, no batching, {FASTAPI[encoder]}",
            values,
        )
        for encoder, values in zip(FASTAPI, p50[1:], strict=True)
    ]


def _unbatched(model: Path) -> list[Server]:
    """FastAPI in each variant. Raises ResultError, ServerError."""
    peer = CATALOGUE["fastapi"]
    return [peer.server(tuned(peer, str(model), encoder)) for encoder in FASTAPI]


@dataclass(frozen=True)
class Part:
    """A group of rows that is measured together."""

    measure: Callable[[Generator, Run], list[Row]]
    reference: bool = False  # on the generator of the reference DCGAN's size, not on the one that is served


PARTS: dict[str, Part] = {
    "arrays": Part(arrays),
    "pngs": Part(pngs, reference=True),
    "overload": Part(overloads, reference=True),
    "start": Part(starts),
    "memory": Part(memory),
    "lone": Part(lone),
}


def measure(
    model: Path, reference: Path | None, names: Collection[str], run: Run
) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each part by its name in PARTS, as they are done; `reference` is for the parts that ask.

    Raises ServerError, WrkError, WrongAnswer, FleetError, NothingAnswered, ResultError.
    """
    if "lone" in names:
        _unbatched(model)  # if that cannot be, then now and not after a quarter of an hour
    served = Generator.open(model)
    large = Generator.open(reference) if reference else served
    for name in names:
        part = PARTS[name]
        yield name, part.measure(large if part.reference else served, run)
