"""Every engine at every batch, in turns, each in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.engine.latency import Latency
from benchmarks.engine.subjects import GEMM, GEMM_FLOP, PLAIN, Subject, offered
from benchmarks.results import Json
from benchmarks.servers import ROOT, end
from generator.engines import EngineError

WANTED = ("onnxruntime", "onnxruntime_gpu", "tensorrt")  # engines that one would look for
LIBRARIES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")  # of NumPy's matrix products


class Child:
    """One process that calls an engine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.key: str = self.answer()["key"]

    def order(self, batch: int, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"batch": batch, "seconds": seconds}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line. Raises EngineError where there is none, or one of an error."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the engine's process has ended"}
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer


@contextmanager
def children(subject: Subject, model: Path) -> Iterator[list[Child]]:
    """A subject's processes, ready; ended in any case. Raises EngineError."""
    command = [
        sys.executable, "-m", "benchmarks.engine.child", "--engine", subject.engine,
        "--model", str(model.resolve()), "--threads", str(subject.threads),
    ]  # fmt: skip
    environment = {**os.environ, **dict.fromkeys(LIBRARIES, str(subject.threads))}
    with ExitStack() as stack:
        started = []
        for _ in range(subject.processes):
            process = stack.enter_context(  # closes the pipes
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
            )
            stack.callback(end, process)
            started.append(process)
        yield [Child(process) for process in started]


def threads_of(cores: int) -> list[int]:
    """1, 2, 4 and so on, and all cores."""
    return sorted({1 << power for power in range(cores.bit_length())} - {0} | {cores})


def runs_on_cpu(engine: str, key: str) -> bool:
    return engine == PLAIN or "-cpu" in key


def subjects(model: Path, cores: int) -> tuple[list[Subject], dict[str, str]]:
    """What can be measured here, and of what cannot the reason."""
    found: list[Subject] = []
    missing = {name: "generator.engines has no such engine" for name in WANTED if name not in offered()}
    for engine in offered():
        try:
            with children(Subject(engine, 1), model) as (child,):
                is_on_cpu = runs_on_cpu(engine, child.key)
        except EngineError as error:
            missing[engine] = str(error).removeprefix(f"{engine}: ")
            continue
        found += [Subject(engine, threads) for threads in (threads_of(cores) if is_on_cpu else [1])]
        if is_on_cpu and cores > 1 and engine != PLAIN:
            found.append(Subject(engine, 1, processes=cores))
    return found, missing


def sweep(
    model: Path,
    subjects: Sequence[Subject],
    batches: Sequence[int],
    repeats: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Json:
    """Rates of each repeat and latencies of all of them. Raises EngineError."""
    limits = [Subject(GEMM, threads) for threads in sorted({subject.cores for subject in subjects})]
    rates: dict[tuple[Subject, int], list[float]] = {}
    times: dict[tuple[Subject, int], list[float]] = {}
    with ExitStack() as stack:
        running = {one: stack.enter_context(children(one, model)) for one in [*limits, *subjects]}
        on_cpu = {one: runs_on_cpu(one.engine, running[one][0].key) for one in subjects}
        for repeat in range(repeats):
            tell(f"repeat {repeat + 1} of {repeats}")
            for batch in [0, *batches]:  # 0: the matrix products
                for subject in subjects if batch else limits:
                    rate, ms = _measure(running[subject], batch, seconds)
                    rates.setdefault((subject, batch), []).append(rate)
                    times.setdefault((subject, batch), []).extend(ms)
    return {
        "gemm_gflop_per_s": {
            str(limit.threads): [rate * GEMM_FLOP / 1e9 for rate in rates[limit, 0]] for limit in limits
        },
        "engines": [
            {
                **asdict(subject),
                "is_on_cpu": on_cpu[subject],
                "batches": {
                    str(batch): {
                        "images_per_s": [rate * batch for rate in rates[subject, batch]],
                        "latency": asdict(Latency.of(times[subject, batch])),
                    }
                    for batch in batches
                },
            }
            for subject in subjects
        ],
    }


def _measure(running: Sequence[Child], batch: int, seconds: float) -> tuple[float, list[float]]:
    """Calls a second of all processes together, and the milliseconds of each call."""
    for child in running:
        child.order(batch, seconds)
    answers = [child.answer() for child in running]
    rate = sum(len(answer["ms"]) / answer["seconds"] for answer in answers)
    return rate, [ms for answer in answers for ms in answer["ms"]]
