"""A generator of the size of the reference DCGAN, with weights that are as good as random.

64 x 64 RGB, 100 latent components, 512 to 64 feature maps (Radford, Metz, Chintala 2016, figure 1, with the
widths of PyTorch's example): 3.6 million parameters. What it draws does not matter here, what it costs does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results import RESULTS
from benchmarks.servers import ROOT

REFERENCE = RESULTS / "rgb-64"
OPTIONS = {
    "--data": "shapes",
    "--image-size": "64",
    "--channels": "3",
    "--latent-dim": "100",
    "--generator-width": "64",
    "--discriminator-width": "16",
    "--batch": "16",
    "--total-kimg": "0.016",  # one step
    "--name": "rgb-64",
}


class NoReference(RuntimeError):
    """The reference generator could not be made."""


def reference_generator() -> Path:
    """The artifact's folder; made anew by one step of training and an export, in half a minute.

    Anew, because what is measured is what this checkout exports. The weights, and so the digest, are the same
    each time. Needs torch, as training does. Raises NoReference.
    """
    options = [part for option in OPTIONS.items() for part in option]
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rgb-64-", dir=RESULTS) as folder:
        run = str(Path(folder) / "run")
        _run("training", *options, "--out", run)
        _run("export", run, str(REFERENCE), "--name", REFERENCE.name, "--replace")
    return REFERENCE


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise NoReference(f"{' '.join(command)} failed: {result.stderr.strip()[-2000:]}")
