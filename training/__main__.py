"""python -m training: trains a conditional generator.

python -m training --preset smoke                            seconds; draws its own data
python -m training --preset fashion-28 --data FOLDER         class folders, .npz, IDX files, hf:NAME
python -m training --resume runs/fashion-28                  goes on from the last checkpoint
python -m training --preset rgb-64 --data FOLDER --dry-run   prints the configuration and the layers
python -m training evaluate models/fashion --data FOLDER     does a classifier see what was asked for?
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from generator.spec import GeneratorSpec, SpecError
from training.checkpoint import Checkpoint, CheckpointError
from training.config import PRESETS, ConfigError, TrainConfig
from training.data import DataError, load_dataset
from training.evaluation import __main__ as evaluation
from training.loop import TrainingDiverged, train
from training.networks import Discriminator, Generator, layer_shapes
from training.run_folder import RunFolder

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["evaluate"]:
        return evaluation.main(arguments[1:])
    console = Console(stderr=True)
    try:
        return _run(arguments, console)
    except (ConfigError, DataError, SpecError, CheckpointError, TrainingDiverged) as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        return 2


def _run(arguments: list[str], console: Console) -> int:
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", choices=sorted(PRESETS))
    first.add_argument("--resume", type=Path, metavar="RUN")
    first.add_argument("--dry-run", action="store_true")
    chosen, rest = first.parse_known_args(arguments)
    checkpoint = Checkpoint.load(chosen.resume) if chosen.resume else None
    if checkpoint and chosen.preset:
        raise ConfigError("--preset and --resume: a resumed run keeps its own options; leave one out")
    base = checkpoint.config if checkpoint else PRESETS.get(chosen.preset or "", TrainConfig())
    config = tyro.cli(
        TrainConfig,
        default=base,
        args=rest,
        prog="python -m training",
        description=(
            "Trains a conditional generator. First choose where to start from: --preset "
            f"{{{', '.join(PRESETS)}}}, or --resume RUN to go on with a run; --dry-run prints the "
            "configuration and the layers and stops. Then change any option:"
        ),
    )
    dataset = load_dataset(config)
    spec = dataset.spec(config)
    folder_path = chosen.resume or Path(config.out or f"runs/{chosen.preset or config.name}")
    folder = RunFolder(folder_path if not folder_path.is_file() else folder_path.parent)
    if not config.data_name:
        config = replace(config, data_name=Path(config.data.removeprefix("hf:")).stem)
    if chosen.dry_run:
        _print_plan(config, spec, len(dataset.labels))
        return 0

    console.print(
        f"[bold]{config.name}[/]  {len(dataset.labels):,} images of {spec.num_classes} classes, "
        f"{spec.image_size} x {spec.image_size} x {spec.channels}  ->  {folder.path}",
        highlight=False,
    )
    progress = Progress(
        TextColumn("{task.completed:,.0f} / {task.total:,.0f} images"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        total = config.total_kimg * 1000
        bar = progress.add_task("", total=total, losses="", completed=0)

        def report(images_shown: int, stats: dict[str, float]) -> None:
            losses = (
                f"{stats['images_per_s']:,.0f} images/s  G {stats['generator_loss']:+.2f}  "
                f"D {stats['discriminator_loss']:.2f}"
                if stats
                else ""
            )
            progress.update(bar, completed=min(images_shown, total), losses=losses)

        finished = train(config, dataset, folder, checkpoint, report)
    if finished:
        console.print(f"done: python -m export {folder.path} models/{config.name}", highlight=False)
        return 0
    console.print(f"stopped and saved: python -m training --resume {folder.path}", highlight=False)
    return INTERRUPTED


def _print_plan(config: TrainConfig, spec: GeneratorSpec, images: int) -> None:
    """The resolved configuration and the shape of each layer, to standard output."""
    console = Console(highlight=False)
    options = Table("option", "value", title="Configuration", title_justify="left", box=None)
    for key, value in config.to_json().items():
        options.add_row(key, "-" if value in (None, "") else str(value))
    options.add_row("[dim]images[/]", f"[dim]{images:,}[/]")
    options.add_row("[dim]class_names[/]", f"[dim]{', '.join(spec.class_names)}[/]")
    console.print(options)
    networks: dict[str, Generator | Discriminator] = {
        "Generator": Generator(spec, config.generator_width),
        "Discriminator": Discriminator(spec, config.discriminator_width, config.spectral_norm),
    }
    for name, network in networks.items():
        rows = layer_shapes(network, spec)
        total = sum(parameters for _, _, parameters in rows)
        table = Table(title=f"{name}, {total:,} parameters", title_justify="left", box=None)
        table.add_column("layer")
        table.add_column("output", justify="right")
        table.add_column("parameters", justify="right")
        for layer, shape, parameters in rows:
            table.add_row(layer, shape, f"{parameters:,}")
        console.print()
        console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
