"""python -m generator: images from the command line, by the thousand."""

from __future__ import annotations

import argparse
import re
import sys
from itertools import chain
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from generator import Generator
from generator.artifact import ArtifactError
from generator.engines import CACHE, ENGINES, EngineError, Precision, Wanted
from generator.latents import MAX_SEED
from generator.pixels import enlarge
from generator.spec import Label
from generator.terminal import tell_error
from generator.writing import open_writer


def parse_seeds(text: str) -> list[range]:
    """'7', '0-9999', '1,5,10-20' -> ranges in order, none twice. Raises argparse.ArgumentTypeError."""
    ranges: list[range] = []
    for text_part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", text_part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED:
            raise argparse.ArgumentTypeError(
                f"{text_part!r} is no seed: use numbers and ranges from 0 to {MAX_SEED}, as in 7 or 0-9999"
            )
        ranges.append(range(first, last + 1))
    apart: list[range] = []
    for part in sorted(ranges, key=lambda part: part.start):
        before = apart[-1] if apart else range(0)
        if apart and part.start <= before.stop:
            apart[-1] = range(before.start, max(before.stop, part.stop))
        else:
            apart.append(part)
    return apart


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m generator", description=__doc__)
    parser.add_argument("artifact", type=Path, help="a generator's folder, such as models/fashion")
    parser.add_argument(
        "--label",
        action="append",
        required=True,
        help="a class by name, slug or number, or 'all'; may be repeated",
    )
    parser.add_argument(
        "--seeds", type=parse_seeds, default=[range(1)], help="such as 7 or 0-9999 (default: 0)"
    )
    parser.add_argument("--truncation", type=float, help="keep latents within [-T, T]")
    parser.add_argument("--scale", type=int, default=1, help="enlarge by a whole factor, 1 to 64")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--engine", choices=ENGINES, help="(default: the best that runs here)")
    parser.add_argument("--engines", type=Path, default=CACHE, help="the engine cache (default: %(default)s)")
    parser.add_argument("--precision", choices=get_args(Precision), help="of TensorRT's engine")
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder, X.npz or X.tar (each seed of each label)"
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.scale <= 64:
        parser.error(f"--scale {options.scale}: allowed are 1 to 64")
    if options.threads is not None and options.threads < 1:
        parser.error(f"--threads {options.threads}: at least 1")
    console = Console(stderr=True, highlight=False)
    try:
        return _generate(options, console)
    except (ArtifactError, EngineError, ValueError, OSError) as error:
        return tell_error(error)


def _generate(options: argparse.Namespace, console: Console) -> int:
    engine = Wanted(options.engine, options.threads, options.engines, options.precision)
    generator = Generator.open(options.artifact, wanted=engine)
    spec = generator.spec
    everything = range(spec.num_classes)
    wanted: list[Label] = list(everything) if "all" in options.label else options.label
    indices = [spec.class_index(_as_label(label, spec.class_names)) for label in wanted]
    labels = list(dict.fromkeys(indices))
    per_label = sum(len(part) for part in options.seeds)
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with open_writer(options.out, spec) as writer, Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=per_label * len(labels))
        for label in labels:
            for seeds in options.seeds:
                batches = generator.stream([label] * len(seeds), seeds, options.truncation)
                pairs = zip(seeds, chain.from_iterable(batches), strict=True)
                for seed, image in pairs:
                    writer.add(label, seed, enlarge(image, options.scale))
                    progress.advance(bar)
    console.print(f"{per_label * len(labels):,} images  ->  {options.out}", markup=False)
    return 0


def _as_label(text: Label, class_names: tuple[str, ...]) -> Label:
    """On a command line all is text: a number that is no class name is an index."""
    if isinstance(text, str) and text.isdecimal() and text not in class_names:
        return int(text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
