"""python -m training evaluate: how good are generators?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from generator.artifact import ArtifactError
from generator.engines import EngineError
from generator.terminal import tell_error
from training.checkpoint import CheckpointError
from training.config import ConfigError, TrainConfig
from training.data import DataError, Dataset, load_dataset, load_test_images
from training.evaluation.classifier import FULL, QUICK
from training.evaluation.generated import AUTO, ArtifactSource, CheckpointSource, engine_names, open_source
from training.evaluation.measure import MeasureOptions, Yardstick
from training.evaluation.neighbour_picture import draw_neighbours, save_neighbours
from training.evaluation.quality import Quality
from training.evaluation.real import RealImages, data_digest, split_real
from training.evaluation.steps import Steps
from training.evaluation.tables import notes, print_tables, quality_tables

QUICK_SAMPLES, FEWEST_SAMPLES = 1000, 20
Opened = dict[str, ArtifactSource | CheckpointSource]


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        measuring = _measuring(options)
        sources = _open_all(options)
        real = _real_images(options, sources)
        _check_recordable(options, sources)
        yardstick = Yardstick(real, measuring, Steps(console))
        real_quality = yardstick.of_real()
        measured: dict[str, Quality] = {}
        for name, source in sources.items():
            measured[name], images = yardstick.of_generator(source)
            title = f"{name}: does it copy?"
            picture = draw_neighbours(images, yardstick.reference.labels, yardstick.copy_check, title)
            save_neighbours(picture, options.out / f"neighbours-{name.replace('/', '-')}.png")
    except (
        ArtifactError, CheckpointError, ConfigError, DataError, EngineError, OSError,
    ) as error:  # fmt: skip
        return tell_error(error)
    print_tables(quality_tables(yardstick, real_quality, measured))
    _write(options, yardstick, real_quality, measured, sources)
    console.print(f"-> {options.out}/evaluation.json, neighbours-*.png")
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
    samples = options.samples or (QUICK_SAMPLES if options.quick else 10_000)
    if samples < FEWEST_SAMPLES:
        raise ConfigError(f"--samples {samples}: at least {FEWEST_SAMPLES}")
    return MeasureOptions(
        samples=samples,
        protocol=QUICK if options.quick else FULL,
        gan_train=not options.without_gan_train,
        inception=options.inception,
        kept_in=options.judges,
    )


def _open_all(options: argparse.Namespace) -> Opened:
    """By the names that tables call them."""
    opened: Opened = {}
    for path in options.generators:
        chosen = options.engine or [AUTO]
        for engine in chosen:
            source = open_source(path, engine)
            name = source.name if len(chosen) == 1 else f"{source.name}/{engine}"
            if name in opened:
                name = str(path) if len(chosen) == 1 else f"{path}/{engine}"
            if name in opened:
                raise ConfigError(f"{path} is given twice")
            source.name = name
            opened[name] = source
    return opened


def _real_images(options: argparse.Namespace, sources: Opened) -> RealImages:
    """The data as every one of the generators saw it. Raises DataError, ConfigError."""
    first = next(iter(sources.values()))
    data = options.data or (first.training.data if isinstance(first, CheckpointSource) else "")
    if not data:
        raise ConfigError(f"--data is needed: {first.name} does not say where its real images are")
    config = _data_config(data, first)
    for name, source in sources.items():
        if _data_config(data, source) != config:
            raise ConfigError(
                f"{name} and {first.name} were made for images of other sizes: measure them apart"
            )
    dataset = load_dataset(config)
    test = load_test_images(config)
    if options.test_data:
        test = load_dataset(replace(config, data=options.test_data))
    for name, source in sources.items():
        _check_fits(dataset, source, name, data)
    return split_real(dataset, test)


def _data_config(data: str, source: ArtifactSource | CheckpointSource) -> TrainConfig:
    """How a generator's training read its data."""
    size = None if source.training.image_size is None else source.spec.image_size
    return TrainConfig(data=data, image_size=size, channels=source.spec.channels, fit=source.training.fit)


def _check_fits(dataset: Dataset, source: ArtifactSource | CheckpointSource, name: str, data: str) -> None:
    spec = source.spec
    if dataset.class_names != spec.class_names:
        raise DataError(
            f"{data} has the classes {', '.join(dataset.class_names)}, {name} {', '.join(spec.class_names)}"
        )
    if dataset.images.shape[1] != spec.image_size:
        raise DataError(
            f"{data} has images of {dataset.images.shape[1]} pixels, {name} makes {spec.image_size}"
        )


def _check_recordable(options: argparse.Namespace, sources: Opened) -> None:
    if not options.record:
        return
    for name, source in sources.items():
        if isinstance(source, CheckpointSource):
            raise ConfigError(f"--record: {name} is a checkpoint, which has no manifest; export it first")
    if options.quick or options.without_gan_train or len(options.engine or []) > 1:
        raise ConfigError("--record takes whole measurements on one engine: leave out --quick and the like")


def _write(
    options: argparse.Namespace,
    yardstick: Yardstick,
    real_quality: Quality,
    measured: Mapping[str, Quality],
    sources: Opened,
) -> None:
    """evaluation.json, and with --record the manifests."""
    real = yardstick.real
    basis = {
        "samples": yardstick.samples,
        "training_images": len(real.training.labels),
        "held_out_images": len(real.held_out.labels),
        "test_set_given": real.test_given,
        "training_digest": data_digest(real.training),
        "classifiers": asdict(yardstick.options.protocol),
        "held_out_real": real_quality.to_json(),
        "notes": notes(yardstick),
    }
    results = {
        name: {"engine": sources[name].engine, **quality.to_json()} for name, quality in measured.items()
    }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**basis, "generators": results}, indent=2)
    (options.out / "evaluation.json").write_text(text + "\n")
    if not options.record:
        return
    for name, source in sources.items():
        if isinstance(source, ArtifactSource):
            source.artifact.record_metrics({**results[name], "basis": basis})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
