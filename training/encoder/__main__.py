"""python -m training encoder: a finished generator's way back, from an image to its latent and class."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from generator import Generator
from generator.artifact import ENCODER, ArtifactError
from generator.engines import EngineError
from generator.refining import STEPS
from generator.terminal import tell_error
from training.checkpoint import CheckpointError
from training.config import ConfigError, TrainConfig
from training.data import DataError, Dataset, load_test_images
from training.encoder.checkpoint import EncoderOptions
from training.encoder.differentiable import UnknownGraph
from training.encoder.learning import learn
from training.encoder.measure import InversionQuality, check_fits, measure, own_images
from training.evaluation.steps import Steps

PROGRAM = "python -m training encoder"
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
TITLES = {"own": "images of its own", "held_out": "held-out real images"}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        generator = Generator.open(options.artifact)
        return (_evaluate if options.evaluate else _learn)(options, generator, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (
        ArtifactError, CheckpointError, ConfigError, DataError, EngineError, OSError, UnknownGraph,
    ) as error:  # fmt: skip
        return tell_error(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Trains an encoder for a finished generator, on images that the generator makes; "
        "`python -m export encoder` then adds it to the artifact. A run that was stopped goes on.",
    )
    parser.add_argument("artifact", type=Path, help="the generator, such as models/fashion")
    parser.add_argument("--out", type=Path, help="the run folder (default: runs/encoder-NAME)")
    defaults = EncoderOptions()
    parser.add_argument(
        "--total-kimg", type=float, default=defaults.total_kimg, metavar="KIMG",
        help="thousands of images to learn from (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--batch", type=int, default=defaults.batch, help="images a step (default: %(default)s)"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=defaults.learning_rate, metavar="LR",
        help="AdamW's, at its highest (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--features", type=int, default=defaults.features, metavar="N",
        help="of the layer before latent and class (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of weights and images (default: 0)")
    measuring = parser.add_argument_group("measuring the encoder that an artifact has")
    measuring.add_argument("--evaluate", action="store_true", help="measure instead of training")
    measuring.add_argument("--data", help="real images, as for training; those of its test set are found too")
    measuring.add_argument(
        "--images", type=int, default=1000, metavar="N", help="to be found, of each (default: 1000)"
    )
    measuring.add_argument(
        "--refine", type=int, default=STEPS, metavar="STEPS",
        help="of refinement (default: %(default)s, as wherever images are inverted)",
    )  # fmt: skip
    measuring.add_argument("--record", action="store_true", help="write the figures into the manifest")
    return parser


def _learn(options: argparse.Namespace, generator: Generator, console: Console) -> int:
    """Trains with a progress bar; the exit code."""
    chosen = EncoderOptions(**{field.name: getattr(options, field.name) for field in fields(EncoderOptions)})
    chosen.check()
    folder = options.out or Path(f"runs/encoder-{generator.artifact.manifest.name}")
    console.print(f"an encoder for {generator.artifact.manifest.id}  ->  {folder}")
    progress = Progress(
        TextColumn("{task.completed:,.0f} / {task.total:,.0f}"),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )
    averages: dict[str, float] = {}
    with progress:
        bar = progress.add_task("", total=chosen.total_kimg * 1000, losses="")

        def report(images_shown: int, losses: dict[str, float]) -> None:
            for name, loss in losses.items():
                averages[name] = 0.98 * averages.get(name, loss) + 0.02 * loss
            shown = "  ".join(f"{name} {average:.3f}" for name, average in averages.items())
            progress.update(bar, completed=min(images_shown, chosen.total_kimg * 1000), losses=shown)

        finished = learn(generator, chosen, folder, report)
    if finished:
        console.print(f"done: python -m export encoder {options.artifact} {folder}")
        return 0
    console.print("stopped and saved: the same command goes on")
    return INTERRUPTED


def _evaluate(options: argparse.Namespace, generator: Generator, console: Console) -> int:
    """Measures, tells, and records where asked; the exit code."""
    if options.images < 1 or options.refine < 0:
        raise ConfigError(f"--images {options.images} --refine {options.refine}: at least 1 and 0")
    subjects = {"own": own_images(generator, options.images)}
    if options.data:
        subjects["held_out"] = _held_out(options, generator)
    steps = Steps(console)
    measured = {
        name: measure(generator, dataset, options.refine, steps, TITLES[name])
        for name, dataset in subjects.items()
    }
    Console(highlight=False).print(_table(measured))
    if options.record:
        told: dict[str, Any] = {name: quality.to_json() for name, quality in measured.items()}
        told["encoder"] = generator.artifact.manifest.files[ENCODER]
        generator.artifact.record_metrics({"inversion": told})
        console.print(f"recorded in {options.artifact}/manifest.json")
    return 0


def _held_out(options: argparse.Namespace, generator: Generator) -> Dataset:
    """The first images of the data's test set. Raises DataError."""
    dataset = load_test_images(TrainConfig(data=options.data, channels=generator.spec.channels))
    if dataset is None:
        raise DataError(f"{options.data} has no test set: give data that has one, or leave --data out")
    check_fits(dataset, generator, options.data)
    rows = slice(options.images)
    return Dataset(dataset.images[rows], dataset.labels[rows], dataset.class_names)


def _table(measured: dict[str, InversionQuality]) -> Table:
    title = "Errors: root mean square of pixels, of 255"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for name, quality in measured.items():
        table.add_column(f"{quality.images:,} {TITLES[name]}", justify="right")
    each = list(measured.values())
    table.add_row("class found", *(f"{quality.class_found:.1%}" for quality in each))
    table.add_row("nearest of 1,000 samples", *(f"{quality.nearest_sample:.1f}" for quality in each))
    table.add_row("encoder alone", *(f"{quality.error:.1f}" for quality in each))
    table.add_row("  of the nearest sample's", *(f"{quality.share:.0%}" for quality in each), style="dim")
    table.add_row(f"refined by {each[0].refine} steps", *(f"{quality.refined_error:.1f}" for quality in each))
    table.add_row(
        "  of the nearest sample's", *(f"{quality.refined_share:.0%}" for quality in each), style="dim"
    )
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
