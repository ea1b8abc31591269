"""Instructions of each workload, counted by valgrind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.servers import ROOT, clean_environment

MARK = "getsid"  # the C function that the driver calls before and after each block
REFERENCE = "reference loop"  # the workload that all others are held against
Counts = dict[str, list[float]]  # workload -> instructions of one request, or of what it does, each repeat

# One thread, and the same order of every set and dictionary each time.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class CountingFailed(RuntimeError):
    """Instructions could not be counted."""


def count(model: Path, repeats: int, extra: dict[str, float]) -> Counts:
    """Runs the driver under callgrind, once; `extra` adds rounds of the reference loop to each request.

    Raises CountingFailed.
    """
    if shutil.which("valgrind") is None:
        raise CountingFailed("valgrind is not installed, which counts instructions: apt-get install valgrind")
    with tempfile.TemporaryDirectory(prefix="mintage-guard-") as folder:
        dumps = Path(folder) / "counts"
        command = [
            "valgrind", "--quiet", "--tool=callgrind",
            f"--dump-before={MARK}", f"--callgrind-out-file={dumps}",
            sys.executable, "-m", "benchmarks.guard.driver", "--model", str(model.resolve()),
            "--repeats", str(repeats), "--extra", json.dumps(extra),
        ]  # fmt: skip
        environment = {**clean_environment(), **ENVIRONMENT}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CountingFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return _counts(done.stdout.splitlines(), dumps)


def _counts(lines: list[str], dumps: Path) -> Counts:
    """The dump of a block is every second one: its mark at the end wrote what came since that before it."""
    counts: Counts = {}
    for place, line in enumerate(lines):
        block = json.loads(line)
        total = instructions(dumps.with_name(f"{dumps.name}.{2 * place + 2}"))
        counts.setdefault(block["workload"], []).append(total / block["count"])
    return counts


def instructions(dump: Path) -> int:
    """The sum in one of callgrind's files. Raises CountingFailed."""
    found = re.search(r"^totals: (\d+)$", dump.read_text(), re.MULTILINE) if dump.is_file() else None
    if found is None:
        raise CountingFailed(f"{dump} has no line of totals: does valgrind know the function {MARK}?")
    return int(found[1])


def valgrind_version() -> str:
    done = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("valgrind-")
