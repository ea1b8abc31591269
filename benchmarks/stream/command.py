"""python -m benchmarks stream: one client that moves as a hand does, 200 times a second, and without end."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import document, results
from benchmarks.answers import compare
from benchmarks.document import tell
from benchmarks.machine import manifest
from benchmarks.mintage import mintage
from benchmarks.options import positive
from benchmarks.questions import read_png
from benchmarks.reference import reference_generator
from benchmarks.results import HOME, LOGS, Json
from benchmarks.servers import running
from benchmarks.stream.client import Seen, follow
from generator import Generator


@dataclass(frozen=True)
class Pace:
    """How often the client moves, and the form of its frames."""

    name: str
    per_s: int
    form: str


PACES = (
    Pace("a display's 60 movements a second", 60, "png"),
    Pace("200 movements a second", 200, "png"),
    Pace("1,000 a second: as many frames as come", 1000, "png"),
    Pace("the same, WebP", 1000, "webp"),
    Pace("the same, raw pixels", 1000, "raw"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Frames a second of one stream, and the delay from a movement to its frame."
    add = parser.add_argument
    add("--model", type=Path, help="(default: a 64 x 64 RGB generator, made for it)")
    add("--repeats", type=positive, default=5, help="(default: %(default)s)")
    add("--seconds", type=positive, default=8, help="of each pace (default: %(default)s)")
    add("--workers", type=positive, help="of the service (default: its own default)")
    add("--write", action="store_true", help="put the table into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Raises ArtifactError, NoReference, ServerError, Unseen, WrongAnswer."""
    file = results.new_file("stream")
    generator = Generator.open(options.model or reference_generator())
    about = manifest(
        generator.artifact, repeats=options.repeats, seconds=options.seconds, workers=options.workers
    )
    result: Json = {"manifest": about, "paces": [{"name": pace.name, "seen": []} for pace in PACES]}
    server = mintage(generator.artifact.path, HOME, workers=options.workers)
    for repeat in range(options.repeats):
        with running(server, LOGS / "stream.log") as process:
            for pace, found in zip(PACES, result["paces"], strict=True):
                url = f"ws://127.0.0.1:{process.port}/v1/stream"
                name = generator.artifact.manifest.name
                seen = asyncio.run(follow(url, name, pace.form, pace.per_s, options.seconds))
                _check(seen, pace, generator)
                found["seen"].append(_figures(seen))
                tell(f"{repeat + 1}/{options.repeats}  {pace.name}: {_line(seen)}")
        results.write(file, result)
    document.finish(result, file, options.write)
    return 0


def _check(seen: Seen, pace: Pace, generator: Generator) -> None:
    """The last frame is that of the last movement, pixel for pixel where its form loses none.

    Raises WrongAnswer.
    """
    if pace.form == "webp":
        return
    expected = generator.images([0], [seen.asked])
    raw = pace.form == "raw"
    last = np.frombuffer(seen.last, np.uint8).reshape(1, -1) if raw else read_png({}, seen.last)
    compare(last.reshape(expected.shape) if last.size == expected.size else last, expected, 0, seen.asked)


def _figures(seen: Seen) -> Json:
    return {
        "asked": seen.asked,
        "frames_per_s": seen.frames_per_s,
        "superseded_percent": 100 * seen.superseded / seen.asked,
        "delay": seen.delays_ms.encode(),
        "lag": seen.lags_ms.encode(),
    }


def _line(seen: Seen) -> str:
    delays, lag = seen.delays_ms.percentiles(), seen.lags_ms.percentile(0.99)
    told = "  ".join(f"{name} {one.ms:.1f}" for name, one in delays.items() if one)
    return f"{seen.frames_per_s:.0f} frames/s  delay {told} ms" + (
        f"  lag p99 {lag.ms:.1f} ms" if lag else ""
    )
