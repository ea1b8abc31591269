"""python -m benchmarks: our service next to its peers, and next to the engine alone.

python -m benchmarks install       each peer into an environment of its own, below runs/peers
python -m benchmarks tune          finds each peer's best settings
python -m benchmarks peers         compares; --write puts the tables and a plot into docs
python -m benchmarks compare A B   do two comparisons agree: the order of the servers, and the ratios?
python -m benchmarks serving       what serving costs over the engine alone
python -m benchmarks choices       what each choice in the service's design brings
python -m benchmarks parts         what the parts of a request cost, each way of doing them
python -m benchmarks engine        the engines alone: latency and images/s for each batch
python -m benchmarks gpu-check     on a machine with a GPU: builds, compares, measures, writes a report
python -m benchmarks mlperf        MLPerf's own load generator over the service and over the engine
python -m benchmarks soak          an hour of steady load: latency, memory, open files
python -m benchmarks stream        one client on the stream: frames a second, and the delay of each
python -m benchmarks training      images/s of the training loop, next to the textbook's
python -m benchmarks guard         what a request costs in instructions; 1 when it has become a fifth dearer
python -m benchmarks load URL      puts a service under load: one rate, a sweep, or the highest rate in time
python -m benchmarks show FILE     the tables of an earlier run
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import get_args

try:
    from benchmarks import agreement, choices, comparison, document, parts, results, serving, tuning
    from benchmarks.answers import WrongAnswer
    from benchmarks.document import tell
    from benchmarks.engine import command as engine
    from benchmarks.gpu_check import command as gpu_check
    from benchmarks.guard import command as guard
    from benchmarks.guard.counting import CountingFailed
    from benchmarks.load import command as load
    from benchmarks.load.fleet import FleetError
    from benchmarks.load.mix import MixError
    from benchmarks.load.session import NothingAnswered
    from benchmarks.load.target import TargetError
    from benchmarks.machine import manifest
    from benchmarks.mlperf import command as mlperf
    from benchmarks.options import positive as _positive
    from benchmarks.peers.environments import InstallError, install
    from benchmarks.peers.settings import Encoder
    from benchmarks.raw import raw_images_per_s
    from benchmarks.reference import NoReference, reference_generator
    from benchmarks.servers import ServerError
    from benchmarks.soak import command as soak
    from benchmarks.standings import tuned_table
    from benchmarks.stream import command as stream
    from benchmarks.stream.client import Unseen
    from benchmarks.tables import show
    from benchmarks.training import command as training
    from benchmarks.wrk import WrkError
    from generator import Generator
    from generator.artifact import Artifact, ArtifactError
    from generator.engines import EngineError
    from generator.terminal import tell_error
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing}: the benchmarks need the extra bench, pip install -e '.[cpu,bench]'")

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
ERRORS = (
    ArtifactError, CountingFailed, EngineError, FleetError, InstallError, MixError, NoReference,
    NothingAnswered, OSError, ServerError, TargetError, Unseen, WrkError, WrongAnswer, results.ResultError,
    subprocess.CalledProcessError,
)  # fmt: skip


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, _interrupt)  # servers are ended on the way out, as on Ctrl-C
    options = _parse(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except ERRORS as error:
        return tell_error(error)
    except KeyboardInterrupt:
        tell("interrupted; what was started is ended")
        return INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    about = dict(re.findall(r"^python -m benchmarks (\S+)(?: [A-Z]+)* +(.+)$", __doc__, re.MULTILINE))

    def add(name: str, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, description=about.get(name))
        subparser.set_defaults(command=command)
        return subparser

    one = add("install", _install)
    _add_peers(one)
    one = add("tune", _tune)
    _add_peers(one)
    _add_amounts(one, repeats=2, seconds=4)
    one = add("peers", _peers)
    _add_peers(one)
    one.add_argument("--workers", type=_positive, help="of our service (default: its own default)")
    one.add_argument(
        "--variants", nargs="+", choices=get_args(Encoder), default=list(get_args(Encoder)),
        help="of peers: with our engine and encoder, our encoder, neither (default: all three)",
    )  # fmt: skip
    _add_amounts(one, repeats=5, seconds=8)
    one.add_argument("--write", action="store_true", help="put the tables and a plot into docs")
    one = add("compare", _compare)
    one.add_argument(
        "first",
        type=Path,
        help="JSON of a comparison with peers, of runs/benchmarks or docs/results/benchmarks",
    )
    one.add_argument("second", type=Path)
    one = add("serving", _serving)
    _add_amounts(one, repeats=5, seconds=8)
    one.add_argument(
        "--only", nargs="+", choices=serving.PARTS, default=list(serving.PARTS), help="(default: all)"
    )
    one.add_argument("--overload-seconds", type=_positive, default=30, help="(default: %(default)s)")
    one.add_argument(
        "--memory-after", nargs="+", type=_positive, default=list(serving.MEMORY_AFTER),
        help="requests after which memory is looked at (default: 10000 100000)",
    )  # fmt: skip
    one.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    one = add("choices", _choices)
    _add_amounts(one, repeats=5, seconds=4)
    one.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    one = add("parts", _parts)
    _add_amounts(one, repeats=9)
    one.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    engine.add_options(add("engine", engine.run))
    gpu_check.add_options(add("gpu-check", gpu_check.run))
    guard.add_options(add("guard", guard.run))
    mlperf.add_options(add("mlperf", mlperf.run))
    soak.add_options(add("soak", soak.run))
    stream.add_options(add("stream", stream.run))
    training.add_options(add("training", training.run))
    load.add_arguments(add("load", load.run))
    one = add("show", _show)
    one.add_argument("file", type=Path, help="JSON of runs/benchmarks, docs/results/benchmarks")
    one.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    one = add("raw", _raw)
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--batch", type=_positive, default=64)
    one.add_argument("--threads", type=_positive, help="CPU threads (default: all cores)")
    one.add_argument("--seconds", type=float, default=5)
    one.add_argument("--plain", action="store_true", help="onnxruntime as it comes, the exported graph")
    return parser.parse_args(arguments)


def _add_peers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", metavar="PEER", help="these peers (default: all)")


def _add_amounts(parser: argparse.ArgumentParser, repeats: int, seconds: int | None = None) -> None:
    parser.add_argument("--model", type=Path, default=Path("models/fashion"), help="(default: %(default)s)")
    parser.add_argument("--repeats", type=_positive, default=repeats, help="(default: %(default)s)")
    if seconds is not None:
        text = "of a load (default: %(default)s)"
        parser.add_argument("--seconds", type=_positive, default=seconds, help=text)


def _install(options: argparse.Namespace) -> int:
    for peer in tuning.chosen(options.only):
        done = install(peer.name, peer.requirements, peer.bare)
        tell(f"{peer.name:9} {'installed' if done else 'is installed':13} {peer.about}")
    return 0


def _tune(options: argparse.Namespace) -> int:
    peers = tuning.chosen(options.only)
    tuning.check_installed(peers)
    generator = Generator.open(options.model)
    tuning.tune(generator, peers, repeats=options.repeats, seconds=options.seconds, tell=tell)
    show([tuned_table({peer.name: tuning.record(peer) for peer in peers})])
    return 0


def _peers(options: argparse.Namespace) -> int:
    peers, file = tuning.chosen(options.only), results.new_file("peers")
    generator = Generator.open(options.model)
    result = comparison.compare(
        generator,
        peers,
        file,
        encoders=options.variants,
        repeats=options.repeats,
        seconds=options.seconds,
        workers=options.workers,
        tell=tell,
    )
    return _finish(result, file, options.write)


def _compare(options: argparse.Namespace) -> int:
    first, second = results.read(options.first), results.read(options.second)
    pairs = agreement.pairs(first, second)
    show([agreement.table(pairs)])
    if alone := agreement.alone(first, second):
        tell(f"in one of the two runs only: {'; '.join(alone)}")
    return int(not agreement.holds(pairs))


def _serving(options: argparse.Namespace) -> int:
    file = results.new_file("serving")
    needed = any(serving.PARTS[name].reference for name in options.only)
    reference = reference_generator() if needed else None
    run = serving.Run(
        options.repeats, options.seconds, options.overload_seconds, tuple(options.memory_after), tell
    )
    about = {
        "repeats": options.repeats,
        "seconds": options.seconds,
        "overload_s": options.overload_seconds,
        "reference": Artifact.open(reference).manifest.id if reference else None,
    }
    result: results.Json = {
        "manifest": manifest(Artifact.open(options.model), **about),
        "rows": {},
    }
    for name, rows in serving.measure(options.model, reference, options.only, run):
        result["rows"][name] = [row.to_json() for row in rows]
        results.write(file, result)
    return _finish(result, file, options.write)


def _choices(options: argparse.Namespace) -> int:
    file = results.new_file("choices")
    generator = Generator.open(options.model)
    about = manifest(generator.artifact, repeats=options.repeats, seconds=options.seconds)
    result: results.Json = {}
    for found in choices.compare(generator, repeats=options.repeats, seconds=options.seconds, tell=tell):
        result = {"manifest": about, **found}
        results.write(file, result)
    return _finish(result, file, options.write)


def _parts(options: argparse.Namespace) -> int:
    file = results.new_file("parts")
    generator = Generator.open(options.model, threads=1)
    rows = [
        [way.part, way.name, asdict(us), asdict(ratio), size]
        for way, us, ratio, size in parts.measure(generator, options.repeats)
    ]
    result = {"manifest": manifest(generator.artifact, repeats=options.repeats), "parts": rows}
    results.write(file, result)
    return _finish(result, file, options.write)


def _show(options: argparse.Namespace) -> int:
    return _finish(results.read(options.file), options.file, options.write)


def _finish(result: results.Json, file: Path, write: bool) -> int:
    document.finish(result, file, write)
    return 0


def _raw(options: argparse.Namespace) -> int:
    rate = raw_images_per_s(options.model, options.batch, options.threads, options.seconds, options.plain)
    print(json.dumps({"images_per_s": rate, "batch": options.batch}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
