"""python -m training evaluate: how good are generators?"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from generator.artifact import ArtifactError
from generator.engines import EngineError
from generator.terminal import tell_error
from training.checkpoint import CheckpointError
from training.config import ConfigError
from training.data import DataError
from training.evaluation.classifier import FULL, QUICK
from training.evaluation.generated import ArtifactSource, CheckpointSource, engine_names
from training.evaluation.measure import MeasureOptions, Yardstick
from training.evaluation.neighbour_picture import draw_neighbours, save_neighbours
from training.evaluation.quality import Quality
from training.evaluation.results import record, write_results
from training.evaluation.steps import Steps
from training.evaluation.subjects import Sources, find_real_images, open_sources
from training.evaluation.tables import quality_tables

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
QUICK_SAMPLES, FEWEST_SAMPLES = 1000, 20


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        measuring = _measuring(options)
        _check_folder("--out", options.out)
        _check_folder("--judges", options.judges)
        sources = open_sources(options.generators, options.engine)
        _check_recordable(options, sources)
        real = find_real_images(sources, options.data, options.test_data)
        yardstick = Yardstick(real, measuring, Steps(console))
        real_quality = yardstick.of_real()
        measured: dict[str, Quality] = {}
        for name, source in sources.items():
            measured[name], images = yardstick.of_generator(source)
            title = f"{name}: does it copy?"
            picture = draw_neighbours(images, yardstick.reference.labels, yardstick.copy_check, title)
            save_neighbours(picture, options.out / f"neighbours-{name.replace('/', '-')}.png")
    except KeyboardInterrupt:
        return INTERRUPTED
    except (
        ArtifactError, CheckpointError, ConfigError, DataError, EngineError, OSError,
    ) as error:  # fmt: skip
        return tell_error(error)
    Console(highlight=False).print(quality_tables(yardstick, real_quality, measured))
    results = write_results(options.out, yardstick, real_quality, measured, sources)
    console.print(f"-> {options.out}/evaluation.json, neighbours-*.png")
    for name, source in sources.items():
        if options.record and isinstance(source, ArtifactSource):
            record(source, results, name)
            console.print(f"recorded in {source.artifact.opened_by}/manifest.json")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training evaluate",
        description="Measures generators by the same real images, side by side: GAN-test and GAN-train, "
        "distances in features, precision, recall, diversity, copying. docs/evaluation.md says what is what.",
    )
    parser.add_argument(
        "generators", nargs="+", type=Path, metavar="GENERATOR",
        help="an artifact (models/fashion), a run folder (runs/fashion-28) or a checkpoint file",
    )  # fmt: skip
    parser.add_argument("--data", help="the real images, as for training (default: those a checkpoint names)")
    parser.add_argument(
        "--test-data",
        help="real images to test on (default: the data's own test set, or else a fifth of the data)",
    )
    parser.add_argument("--samples", type=int, metavar="N", help="images on each side (default: 10000)")
    parser.add_argument(
        "--engine", action="append", metavar="ENGINE",
        help=f"what artifacts run on, repeated to compare: {', '.join(engine_names())} (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--without-gan-train", action="store_true", help="leave it out: it takes half the time"
    )
    parser.add_argument(
        "--inception", type=Path, metavar="FILE", help="inception-2015-12-05.pt, for FID and IS"
    )
    parser.add_argument(
        "--quick", action="store_true", help="1,000 samples and shorter training of the classifiers"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the results into the artifacts' manifests"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/evaluation"),
        help="folder of evaluation.json and pictures, written over (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--judges", type=Path, default=Path("runs/judges"), metavar="FOLDER",
        help="where judges are kept for the next time (default: %(default)s)",
    )  # fmt: skip
    return parser


def _measuring(options: argparse.Namespace) -> MeasureOptions:
    samples = options.samples
    if samples is None:
        samples = QUICK_SAMPLES if options.quick else 10_000
    if samples < FEWEST_SAMPLES:
        raise ConfigError(f"--samples {samples}: at least {FEWEST_SAMPLES}")
    return MeasureOptions(
        samples=samples,
        protocol=QUICK if options.quick else FULL,
        gan_train=not options.without_gan_train,
        inception=options.inception,
        kept_in=options.judges,
    )


def _check_folder(option: str, folder: Path) -> None:
    """Raises ConfigError for a folder that could not be made or written to, and leaves none behind."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{option} {folder}: {there} is a file; give a folder, which may be a new one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {folder}: {there} cannot be written to; give another folder")


def _check_recordable(options: argparse.Namespace, sources: Sources) -> None:
    for name, source in sources.items():
        if options.record and isinstance(source, CheckpointSource):
            raise ConfigError(f"--record: {name} is a checkpoint, which has no manifest; export it first")
    partial = options.quick or options.without_gan_train or len(options.engine or []) > 1
    if options.record and partial:
        raise ConfigError("--record takes whole measurements on one engine: leave out --quick and the like")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
