"""python -m export: a checkpoint becomes an artifact that can be served.

python -m export runs/fashion-28 models/fashion   checks the graph against torch, then writes the folder
python -m export complete models/fashion          adds what an artifact of an earlier version lacks
python -m export encoder models/fashion RUN       adds the encoder that was trained for it
python -m export engine models/fashion            builds engines of TensorRT for it; needs no torch
"""

# ruff: noqa: PLC0415 - building engines needs neither torch nor onnx, and machines with a GPU may lack both

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.console import Console

from generator.artifact import Artifact, ArtifactError
from generator.engines import EngineError
from generator.engines.cache import CacheError
from generator.terminal import tell_error

PROGRAM = "python -m export"

console = Console(stderr=True, highlight=False)


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["engine"]:
            return _engine(arguments[1:])
        return _with_torch(arguments)
    except (ArtifactError, CacheError, EngineError, OSError) as error:
        return tell_error(error)


def _with_torch(arguments: list[str]) -> int:
    from export.parity import ParityError
    from export.tail import GraphError
    from training.checkpoint import CheckpointError

    try:
        if arguments[:1] == ["encoder"]:
            return _encoder(arguments[1:])
        return _complete(arguments[1:]) if arguments[:1] == ["complete"] else _export(arguments)
    except (CheckpointError, GraphError, ParityError) as error:
        return tell_error(error)


def _export(arguments: list[str]) -> int:
    from export.artifact import export_checkpoint
    from training.checkpoint import Checkpoint

    parser = argparse.ArgumentParser(
        PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="a run folder, or its checkpoint.pt")
    parser.add_argument("artifact", type=Path, help="the folder to write, such as models/fashion")
    parser.add_argument("--name", help="the generator's name (default: the artifact folder's)")
    parser.add_argument("--replace", action="store_true", help="replace an artifact that is there")
    _add_fp16_error(parser)
    options = parser.parse_args(arguments)
    name = options.name or options.artifact.name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        parser.error(f"name {name!r}: use lower-case letters, digits, - and _, for it goes into links")
    checkpoint = Checkpoint.load(options.checkpoint)
    artifact = export_checkpoint(
        checkpoint, options.artifact, name, options.replace, tell=_print, fp16_error=options.fp16_error
    )
    _tell(artifact, options.artifact)
    return 0


def _complete(arguments: list[str]) -> int:
    from export.artifact import complete_artifact

    parser = argparse.ArgumentParser(
        f"{PROGRAM} complete",
        description="Adds what an artifact of an earlier version lacks: the graph for CPUs, with which its "
        "digest changes; the main directions of its latent space and the graph in float16, with which it "
        "does not.",
    )
    parser.add_argument("artifact", type=Path, help="the artifact's folder, such as models/fashion")
    _add_fp16_error(parser)
    options = parser.parse_args(arguments)
    path = options.artifact
    before = Artifact.open(path)
    after = complete_artifact(path, tell=_print, fp16_error=options.fp16_error)
    if after.manifest.files != before.manifest.files:
        _tell(after, path)
    elif after.graph_of("fp16"):
        console.print(f"[bold]{after.manifest.id}[/] lacks nothing")
    return 0


def _encoder(arguments: list[str]) -> int:
    from export.encoder import add_encoder

    parser = argparse.ArgumentParser(
        f"{PROGRAM} encoder",
        description="Adds the encoder of a run of `python -m training encoder` to the generator that it is "
        "for, whose digest and links stay.",
    )
    parser.add_argument("artifact", type=Path, help="the artifact's folder, such as models/fashion")
    parser.add_argument("run", type=Path, help="the run folder, such as runs/encoder-fashion")
    options = parser.parse_args(arguments)
    artifact = add_encoder(options.artifact, options.run)
    size = sum(file.stat().st_size for file in [artifact.encoder_file] if file)
    console.print(
        f"[bold]{artifact.manifest.id}[/]  an encoder of {size / 1e6:.1f} MB  ->  {options.artifact}"
    )
    return 0


def _add_fp16_error(parser: argparse.ArgumentParser) -> None:
    from export.parity import MAX_ABS_ERROR_FP16

    parser.add_argument(
        "--fp16-error", type=float, default=MAX_ABS_ERROR_FP16, metavar="E",
        help="how far values in [-1, 1] may be off in float16, for it to be kept (default: %(default)s)",
    )  # fmt: skip


def _engine(arguments: list[str]) -> int:
    from export.engine import BuildError
    from export.engine_command import add_options, build_and_store, build_options

    parser = argparse.ArgumentParser(
        f"{PROGRAM} engine",
        description="Builds engines of TensorRT and puts them into the engine cache: for the GPU at hand, or "
        "with --target, by tensorrt-rtx, ahead of time for GPUs of a kind.",
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        build_and_store(options, build_options(options, parser), tell=_print)
    except BuildError as error:
        return tell_error(error)
    return 0


def _print(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _tell(artifact: Artifact, path: Path) -> None:
    """What was written, and how well its graphs do."""
    size = artifact.onnx_file.stat().st_size / 1e6
    console.print(f"[bold]{artifact.manifest.id}[/]  {size:.1f} MB a graph  ->  {path}")
    for engine, parity in artifact.manifest.parity.items():
        _print(
            f"{engine}: {parity.max_abs_error:.1e} from {parity.reference} before rounding "
            f"({parity.max_abs_error_float32:.1e} from it in float32); "
            f"{parity.differing_pixels} of {parity.compared_pixels:,} pixels differ, by at most "
            f"{parity.max_pixel_error} of 255"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
