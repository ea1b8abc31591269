"""python -m export: a checkpoint becomes an artifact that can be served.

python -m export runs/fashion-28 models/fashion   checks the graph against torch, then writes the folder
python -m export complete models/fashion          adds what an artifact of an earlier version lacks
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.console import Console

from export.artifact import complete_artifact, export_checkpoint
from export.parity import ParityError
from export.tail import GraphError
from generator.artifact import Artifact, ArtifactError
from generator.terminal import tell_error
from training.checkpoint import Checkpoint, CheckpointError

PROGRAM = "python -m export"


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["complete"]:
            return _complete(arguments[1:])
        return _export(arguments)
    except (ArtifactError, CheckpointError, GraphError, ParityError, OSError) as error:
        return tell_error(error)


def _export(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="a run folder, or its checkpoint.pt")
    parser.add_argument("artifact", type=Path, help="the folder to write, such as models/fashion")
    parser.add_argument("--name", help="the generator's name (default: the artifact folder's)")
    parser.add_argument("--replace", action="store_true", help="replace an artifact that is there")
    options = parser.parse_args(arguments)
    name = options.name or options.artifact.name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        parser.error(f"name {name!r}: use lower-case letters, digits, - and _, for it goes into links")
    checkpoint = Checkpoint.load(options.checkpoint)
    _tell(export_checkpoint(checkpoint, options.artifact, name, options.replace), options.artifact)
    return 0


def _complete(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        f"{PROGRAM} complete",
        description="Adds what an artifact of an earlier version lacks: the graph for CPUs, with which its "
        "digest changes, and the main directions of its latent space, with which it does not.",
    )
    parser.add_argument("artifact", type=Path, help="the artifact's folder, such as models/fashion")
    path = parser.parse_args(arguments).artifact
    before = Artifact.open(path)
    after = complete_artifact(path)
    if after.manifest.files == before.manifest.files:
        Console(stderr=True, highlight=False).print(f"[bold]{after.manifest.id}[/] lacks nothing")
    else:
        _tell(after, path)
    return 0


def _tell(artifact: Artifact, path: Path) -> None:
    """What was written, and how well its graphs do."""
    console = Console(stderr=True, highlight=False)
    size = artifact.onnx_file.stat().st_size / 1e6
    console.print(f"[bold]{artifact.manifest.id}[/]  {size:.1f} MB a graph  ->  {path}")
    for engine, parity in artifact.manifest.parity.items():
        console.print(
            f"{engine}: {parity.max_abs_error:.1e} from {parity.reference} before rounding "
            f"({parity.max_abs_error_float32:.1e} from it in float32); "
            f"{parity.differing_pixels} of {parity.compared_pixels:,} pixels differ, by at most "
            f"{parity.max_pixel_error} of 255",
            soft_wrap=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
