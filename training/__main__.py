"""python -m training: trains a conditional generator.

python -m training --preset smoke                            seconds; draws its own data
python -m training --preset fashion-28 --data FOLDER         class folders, .npz, IDX files, hf:NAME
python -m training --resume runs/fashion-28                  goes on from the last checkpoint
python -m training --preset rgb-64 --data FOLDER --dry-run   prints the configuration and the layers
python -m training.modes --quick                             which modes of a mixture are found, and why
python -m training evaluate models/fashion --data FOLDER     how good is it?
python -m training encoder models/fashion                    the way back: from an image to its latent
python -m training sweep --preset smoke --search generator_lr=1e-4..1e-3:log      tries options
torchrun --nproc-per-node 2 -m training --preset fashion-28 --data FOLDER         on two GPUs
"""

from __future__ import annotations

import argparse
import difflib
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from generator.spec import GeneratorSpec, SpecError
from generator.terminal import tell_error
from training.best import begin_best
from training.checkpoint import FILE_NAME, Checkpoint, CheckpointError
from training.config import ConfigError, TrainConfig
from training.data import DataError, Dataset, load_dataset, load_test_images, with_data_name
from training.encoder import __main__ as encoder
from training.evaluation import __main__ as evaluation
from training.evaluation.real import data_digest
from training.evaluation.steps import Steps
from training.execution import use_threads
from training.loop import TrainingDiverged, train
from training.monitors.held_out import set_aside
from training.networks import Discriminator, Generator, layer_shapes
from training.presets import PRESETS
from training.run_folder import RunFolder
from training.sweep import __main__ as sweep
from training.team import Team, joined_team, leads
from training.trainer import check_fits, check_run

PROGRAM = "python -m training"
COMMANDS = {"encoder": encoder.main, "evaluate": evaluation.main, "sweep": sweep.main}
OTHERS = {  # what else there is, and how it is called
    **{name: f"{PROGRAM} {name}" for name in ("evaluate", "sweep", "encoder")},
    "modes": f"{PROGRAM}.modes",
}
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


@dataclass(frozen=True)
class _Plan:
    """What the command line asks for, resolved."""

    config: TrainConfig
    folder: RunFolder
    resume_from: Checkpoint | None
    dry_run: bool


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    try:
        _check_no_command(arguments)
        plan = _plan(arguments)
        dataset = load_dataset(plan.config)
        spec = dataset.spec(plan.config)
        device = check_run(plan.config, dataset)
        if plan.resume_from is None and leads():
            plan.folder.check_free()
        if plan.dry_run:
            if leads():
                _print_plan(plan.config, spec, len(dataset.labels))
            return 0
        with joined_team(device) as team:
            return _train(plan, dataset, team)
    except KeyboardInterrupt:  # before the run begins: it ends by itself
        return INTERRUPTED
    except (ConfigError, DataError, SpecError, CheckpointError, TrainingDiverged, OSError) as error:
        return tell_error(error) if leads() else 2


def _check_no_command(arguments: list[str]) -> None:
    """Training takes options only. Raises ConfigError."""
    if arguments and not arguments[0].startswith("-"):
        near = difflib.get_close_matches(arguments[0], OTHERS, 1)
        raise ConfigError(
            f"{arguments[0]} is no command; "
            + (f"did you mean {OTHERS[near[0]]}? " if near else "")
            + f"There are {', '.join(OTHERS.values())}; options of training begin with --"
        )


def _plan(arguments: list[str]) -> _Plan:
    """Options on top of a preset, or of the run that is resumed. Raises ConfigError, CheckpointError."""
    first = argparse.ArgumentParser(PROGRAM, add_help=False, allow_abbrev=False)
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
        prog=PROGRAM,
        description=(
            "Trains a conditional generator. First choose where to start from: --preset "
            f"{{{', '.join(PRESETS)}}}, or --resume RUN to go on with a run; --dry-run prints the "
            "configuration and the layers and stops. Then change any option.\n\n"
            f"Other commands, each with --help: {PROGRAM} evaluate (how good is it?), {PROGRAM} sweep (tries "
            f"options), {PROGRAM} encoder (from an image to its latent), {PROGRAM}.modes (which modes of a "
            "mixture are found)."
        ),
    )
    if checkpoint and config.out != checkpoint.config.out:
        raise ConfigError(f"--out {config.out}: a resumed run goes on in {chosen.resume}; leave it out")
    out = Path(config.out or f"runs/{chosen.preset or config.name}")
    if checkpoint:
        out = chosen.resume.parent if chosen.resume.is_file() else chosen.resume
        _check_last(checkpoint, chosen.resume, out)
    return _Plan(with_data_name(config), RunFolder(out), checkpoint, chosen.dry_run)


def _check_last(checkpoint: Checkpoint, file: Path, out: Path) -> None:
    """Raises ConfigError where a run would write over what it has learnt since this checkpoint."""
    last = out / FILE_NAME
    if file.is_dir() or not last.is_file():
        return
    further = Checkpoint.load(last).images_shown
    if further > checkpoint.images_shown:
        raise ConfigError(
            f"--resume {file}: it has seen {checkpoint.images_shown:,} images, {last} {further:,}, which "
            f"would be written over; --resume {out}, or copy {file.name} into a folder of its own"
        )


def _train(plan: _Plan, dataset: Dataset, team: Team) -> int:
    """Trains with a progress bar; the exit code."""
    config, folder = plan.config, plan.folder
    use_threads(config)  # for the judge of the best checkpoint too
    test = load_test_images(config)
    if plan.resume_from:  # before the judge learns
        learnt_from, _ = set_aside(config, dataset, test)
        check_fits(plan.resume_from, config, dataset.spec(config), data_digest(learnt_from))
    if not team.leads:
        ended = train(config, dataset, folder, plan.resume_from, lambda *_: None, test=test, team=team)
        return INTERRUPTED if ended == "stopped" else 0
    console = Console(stderr=True, markup=False, highlight=False)
    spec, together = dataset.spec(config), f", {team.size} processes" if team.size > 1 else ""
    console.print(
        f"{config.name}  {len(dataset.labels):,} images of {spec.num_classes} classes, "
        f"{spec.image_size} x {spec.image_size} x {spec.channels}{together}  ->  {folder.path}"
    )
    best = begin_best(config, dataset, test, folder.path, Steps(console))
    progress = Progress(
        TextColumn("{task.completed:,.0f} / {task.total:,.0f}"),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )
    total = config.total_kimg * 1000
    shown_before = plan.resume_from.images_shown if plan.resume_from else 0
    with progress:
        bar = progress.add_task("", total=total, losses="", completed=int(min(shown_before, total)))

        def report(images_shown: int, stats: dict[str, float]) -> None:
            progress.update(bar, completed=min(images_shown, total), losses=_losses(stats))

        ended = train(
            config, dataset, folder, plan.resume_from, report, best,
            test=test, tell=lambda alarm: console.print(str(alarm), style="red"), team=team,
        )  # fmt: skip
    if ended == "stopped":
        console.print(f"stopped and saved: {PROGRAM} --resume {folder.path}")
        return INTERRUPTED
    if ended == "converged":
        console.print("converged: the last evaluations brought nothing any more")
    console.print(f"done: python -m export {folder.path} models/{config.name}")
    return 0


def _losses(stats: dict[str, float]) -> str:
    if not stats:
        return ""
    return (
        f"{stats['images_per_s']:,.0f} images/s  G {stats['generator_loss']:+.2f}  "
        f"D {stats['discriminator_loss']:.2f}"
    )


def _print_plan(config: TrainConfig, spec: GeneratorSpec, images: int) -> None:
    """The resolved configuration and the shape of each layer, to standard output."""
    console = Console(highlight=False)
    options = Table("option", "value", title="Configuration", title_justify="left", box=None)
    for key, value in config.to_json().items():
        options.add_row(key, "-" if value in (None, "", []) else Text(str(value)))
    options.add_row("[dim]images[/]", f"[dim]{images:,}[/]")
    options.add_row("[dim]class_names[/]", Text(", ".join(spec.class_names), "dim"))
    console.print(options)
    networks: dict[str, Generator | Discriminator] = {
        "Generator": Generator.of(spec, config),
        "Discriminator": Discriminator(spec, config),
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
