"""python -m benchmarks load URL: puts a service under load and writes a report."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.answers import WrongAnswer
from benchmarks.load import search
from benchmarks.load.fleet import FleetError, fleet
from benchmarks.load.folder import FolderError, new_folder, write_folder
from benchmarks.load.measured import Measured
from benchmarks.load.mix import Mix, MixError, parse
from benchmarks.load.pixels import generator_of
from benchmarks.load.progress import Progress
from benchmarks.load.selftest import self_test
from benchmarks.load.session import NothingAnswered, Session
from benchmarks.load.target import Target, TargetError
from benchmarks.load.words import line, verdict
from benchmarks.machine import manifest
from benchmarks.options import above_zero, from_zero, positive
from benchmarks.servers import ServerError
from benchmarks.wrk import WrkError
from generator.artifact import ArtifactError
from generator.engines import EngineError
from generator.terminal import tell_error

Json = dict[str, Any]

WRONG_PIXEL, INVALID = 1, 2  # exit codes; what cannot be done at all is 2 as well
PEAK_CONNECTIONS = 64
ERRORS = (
    ArtifactError, EngineError, FleetError, FolderError, MixError, NothingAnswered, OSError, ServerError,
    TargetError, WrkError,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Puts a mintage service under load; latencies count from when requests were due."
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="of the service, http://HOST:PORT")
    add("--rate", type=above_zero, metavar="N", help="an open loop of N requests a second")
    add("--sweep", action="store_true", help="finds the peak, then rates from a tenth of it to twice as much")
    add("--find-rate", action="store_true", help="the highest rate with p99 within --p99-ms")
    add(
        "--self-test", action="store_true", help="no URL: what this client can do, against servers of its own"
    )
    add("--connections", type=positive, metavar="N", help="without the above, a closed loop: peak throughput")
    add("--p99-ms", type=above_zero, default=20.0, help="for --find-rate (default: %(default)g)")
    add("--seconds", type=above_zero, help="of each load (default: 30; 10 in a sweep and a closed loop)")
    add("--arrivals", choices=("poisson", "constant"), default="poisson", help="(default: %(default)s)")
    add("--mix", default="label", help="label=80,latent=5,n=5,zip=5,interpolation=5 (default: %(default)s)")
    add("--model", help="(default: the service's)")
    add("--processes", type=positive, default=1, metavar="N", help="that send (default: %(default)s)")
    add("--artifact", type=Path, help="to compare pixels with (default: the served one, below models/)")
    add("--api-key", default=os.environ.get("MINTAGE_API_KEY", ""), help="(default: MINTAGE_API_KEY)")
    add("--warm-up", type=from_zero, default=2.0, metavar="S", help="seconds before (default: %(default)g)")
    add("--seed", type=int, help="of the first request and the arrivals (default: drawn)")
    add("--report", type=Path, metavar="FOLDER", help="(default: runs/load/TIME)")


def run(options: argparse.Namespace) -> int:
    """The exit code: 1 for a wrong pixel, 2 for a run that is not valid or could not be."""
    console = Console(stderr=True, highlight=False)
    try:
        with Progress(console) as progress:
            if options.self_test:
                return self_test(progress)
            _check(options)
            result = _measure(options, progress)
        return _finish(result, options.folder, console)
    except WrongAnswer as error:
        tell_error(error)
        return WRONG_PIXEL
    except ERRORS as error:
        return tell_error(error)


def _check(options: argparse.Namespace) -> None:
    """Everything that can be wrong before there is any load. Raises TargetError, FolderError."""
    if options.url is None:
        raise TargetError("no URL: python -m benchmarks load http://HOST:PORT --rate 100")
    if sum([options.rate is not None, options.sweep, options.find_rate]) > 1:
        raise TargetError("choose one of --rate, --sweep, --find-rate")
    if not (options.rate or options.sweep or options.find_rate or options.connections):
        raise TargetError("choose --rate N, --sweep, --find-rate or --connections N")
    if options.connections and options.connections < options.processes:
        raise TargetError(
            f"{options.connections} connections for {options.processes} processes: one each at least"
        )
    options.folder = new_folder(options.report)


def _measure(options: argparse.Namespace, progress: Progress) -> Json:
    """All loads of a run, as JSON."""
    target = Target.parse(options.url, options.api_key)
    seed = random.randrange(2**32) if options.seed is None else options.seed % 2**32
    mix = Mix(target, target.model(options.model), parse(options.mix), seed)
    generator = generator_of(mix.model, options.artifact)
    about = manifest(
        generator.artifact if generator else None, arrivals=options.arrivals, mix=mix.shares,
        processes=options.processes, seed=seed, warm_up_s=options.warm_up,
    )  # fmt: skip
    about["command"] = _without_key(about["command"], options.api_key)
    with fleet(options.processes) as processes:
        session = Session(processes, mix, generator, options.arrivals, seed, progress)
        first_ms = session.first_requests()
        progress.tell(f"{mix.model.version} at http://{target.address}; first request {first_ms:.1f} ms")
        if generator is None:
            progress.tell(
                "pixels are not checked: no artifact of this version with the service's engine here"
            )
        connections = options.connections or PEAK_CONNECTIONS
        warm_up = session.closed(connections, options.warm_up, "warm-up") if options.warm_up > 0 else None
        loads = _loads(session, options, connections)
    result: Json = {
        "kind": "load", "manifest": about, "url": f"http://{target.address}", "model": mix.model.version,
        "first_request_ms": first_ms, "warm_up": warm_up and warm_up.to_json(), **loads,
    }  # fmt: skip
    return {**result, "valid": all(load["valid"] for load in result["loads"])}


def _loads(session: Session, options: argparse.Namespace, connections: int) -> Json:
    """What was measured: `loads`, with the mode, and the peak where one was looked for."""
    tell = session.progress.tell

    def seen(measured: Measured) -> Measured:
        tell(line(measured))
        return measured

    if options.rate:
        return {"mode": "rate", "loads": [seen(session.open(options.rate, options.seconds or 30)).to_json()]}
    if not (options.sweep or options.find_rate):
        measured = seen(session.closed(connections, options.seconds or 10))
        return {"mode": "closed", "loads": [measured.to_json()]}
    peak = seen(session.closed(connections, min(options.seconds or 4, 4), "peak"))
    about_peak = {"peak": peak.to_json()}
    if options.sweep:
        seconds = options.seconds or 10
        loads = [seen(load).to_json() for load in search.sweep(session.open, peak.goodput_per_s, seconds)]
        return {"mode": "sweep", **about_peak, "loads": loads}
    tries, found = search.find_rate(
        session.open, peak.goodput_per_s, options.p99_ms, options.seconds or 30, lambda one: tell(line(one))
    )
    tried = [
        {"rate_per_s": one.rate_per_s, "seconds": one.seconds, "within": one.within(options.p99_ms),
         "valid": one.valid, "passed": search.passes(one, options.p99_ms)} for one in tries
    ]  # fmt: skip
    last = found or tries[-1]
    about_search = {"bound_ms": options.p99_ms, "found_per_s": found and found.rate_per_s, "tries": tried}
    limited = {"limited_by_client": search.limited_by_client(tries, found, options.p99_ms)}
    return {"mode": "find-rate", **about_peak, **about_search, **limited, "loads": [last.to_json()]}


def _without_key(command: list[str], key: str) -> list[str]:
    return [part.replace(key, "KEY") for part in command] if key else command


def _finish(result: Json, folder: Path, console: Console) -> int:
    write_folder(folder, result)
    for text in verdict(result):
        console.print(text, markup=False, soft_wrap=True)
    print(folder / "report.html")
    return 0 if result["valid"] and not result.get("limited_by_client") else INVALID
