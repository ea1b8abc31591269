"""python -m export: a checkpoint becomes an artifact that can be served."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.console import Console

from export.artifact import export_checkpoint
from export.parity import ParityError
from generator.artifact import ArtifactError
from generator.terminal import tell_error
from training.checkpoint import Checkpoint, CheckpointError


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a run folder, or its checkpoint.pt")
    parser.add_argument("artifact", type=Path, help="the folder to write, such as models/fashion")
    parser.add_argument("--name", help="the generator's name (default: the artifact folder's)")
    parser.add_argument("--replace", action="store_true", help="replace an artifact that is there")
    options = parser.parse_args(arguments)
    name = options.name or options.artifact.name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        parser.error(f"name {name!r}: use lower-case letters, digits, - and _, for it goes into links")
    console = Console(stderr=True, highlight=False)
    try:
        checkpoint = Checkpoint.load(options.checkpoint)
        artifact = export_checkpoint(checkpoint, options.artifact, name, options.replace)
    except (ArtifactError, CheckpointError, ParityError, OSError) as error:
        return tell_error(error)
    (parity,) = artifact.manifest.parity.values()
    size = artifact.onnx_file.stat().st_size / 1e6
    console.print(f"[bold]{artifact.manifest.id}[/]  {size:.1f} MB  ->  {options.artifact}")
    console.print(
        f"parity with torch: {parity.max_abs_error:.1e} before rounding "
        f"({parity.max_abs_error_float32:.1e} to torch in float32); "
        f"{parity.differing_pixels} of {parity.compared_pixels:,} pixels differ, by at most "
        f"{parity.max_pixel_error} of 255",
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
