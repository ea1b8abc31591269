"""python -m benchmarks.mlperf.child: one test of LoadGen, in a process of its own.

What to do comes as JSON on the command line; what LoadGen does not know goes to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.mlperf import loadgen
from benchmarks.mlperf.engine_system import EngineSystem
from benchmarks.mlperf.samples import Samples
from benchmarks.mlperf.service_system import ServiceSystem
from benchmarks.mlperf.system import System
from benchmarks.mlperf.trial import Trial
from generator.artifact import Artifact

CONNECTIONS = {"SingleStream": 1, "MultiStream": 1, "Server": 64, "Offline": 8}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.mlperf.child", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, help="of the service; without it the bare engine is tested")
    parser.add_argument("--threads", type=int, help="of the bare engine (default: all cores)")
    parser.add_argument("--trial", type=json.loads, required=True)
    options = parser.parse_args(arguments)
    trial = Trial(**{**options.trial, "folder": Path(options.trial["folder"])})
    manifest = Artifact.open(options.model).manifest
    samples = Samples(manifest.spec.num_classes)
    system: System
    if options.port is None:
        system = EngineSystem(options.model, options.threads, samples, loadgen.complete)
    else:
        system = ServiceSystem(
            options.port,
            manifest.name,
            CONNECTIONS[trial.scenario],
            samples,
            loadgen.complete,
            decode=trial.mode == "AccuracyOnly",
        )
    try:
        target_qps = loadgen.run(trial, system, samples)
    finally:
        system.close()
    print(json.dumps({"failed": system.failed, "target_qps": target_qps}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
