"""python -m service: serves the generators in models/ over HTTP."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from generator.engines import ENGINES

ENTRY = "service.service:Mintage"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--models", type=Path, help="a generator's folder, or a folder of them")
    parser.add_argument("--workers", type=int, help="processes that share the port")
    parser.add_argument("--threads", type=int, help="CPU threads of each worker's engine")
    parser.add_argument("--engine", choices=ENGINES, help="(default: the best that runs here)")
    options = parser.parse_args(arguments)
    for name in ("models", "workers", "threads", "engine"):
        if (value := getattr(options, name)) is not None:
            os.environ[f"MINTAGE_{name.upper()}"] = str(value)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    command = [sys.executable, "-m", "bentoml", "serve", ENTRY]
    place = ["--host", options.host, "--port", str(options.port)]
    os.execv(sys.executable, [*command, *place, "--timeout-graceful-shutdown", "15"])


if __name__ == "__main__":
    main(sys.argv[1:])
