"""python -m training.modes: objectives and remedies compared on points in the plane.

python -m training.modes --quick                    six recipes, one seed, short runs
python -m training.modes                            every recipe, five seeds; goes on where it was stopped
python -m training.modes --recipes plain unrolled   these only
python -m training.modes --write                    also puts table and pictures into docs/results

It is the game that images are trained with, objectives and remedies included; networks and data are others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from generator.terminal import tell_error
from training.modes.cells import Cell, compute
from training.modes.mixtures import MIXTURES
from training.modes.picture import films
from training.modes.recipes import RECIPES
from training.modes.table import show, summaries, write

DOCS = Path(__file__).parents[2] / "docs" / "results"
STEPS, SEEDS = 6000, 5
QUICK_STEPS, QUICK_SEEDS = 1500, 1
QUICK = ("plain", "wgan-gp", "r3gan", "unrolled", "packed", "instance-noise")


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    steps = options.steps or (QUICK_STEPS if options.quick else STEPS)
    seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    out = options.out or Path("runs") / ("modes-quick" if options.quick else "modes")
    recipes = options.recipes or (QUICK if options.quick else tuple(RECIPES))
    cells = [
        Cell(recipe, mixture, seed, steps)
        for seed in range(seeds)  # seed by seed: a run that is stopped has all recipes for some seeds
        for recipe in recipes
        for mixture in MIXTURES
    ]
    console = Console(stderr=True, highlight=False)
    try:
        _compute(cells, out, options.processes, console)
        results = {cell: result for cell in cells if (result := cell.result(out)) is not None}
        pictures = films(results, out)
        found = summaries(results)
        show(found)
        for picture in pictures:
            console.print(f"-> {picture}")
        if options.write:
            stills = [picture for picture in pictures if picture.suffix == ".png"]
            write(found, steps, seeds, DOCS, [f"modes-{still.name}" for still in stills])
            for still in stills:
                shutil.copyfile(still, DOCS / f"modes-{still.name}")
            console.print(f"-> {DOCS}")
    except OSError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        console.print("stopped: the finished cells are kept, and the same command goes on")
        return 130
    return 0


def _compute(cells: list[Cell], out: Path, processes: int, console: Console) -> None:
    done = sum(cell.result(out) is not None for cell in cells)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("runs", total=len(cells), completed=done)

        def report(cell: Cell) -> None:
            progress.update(bar, advance=1, description=f"{cell.recipe}, {cell.mixture}, seed {cell.seed}")

        compute(cells, out, processes, report)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m training.modes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a look: six recipes, one seed, short runs")
    parser.add_argument(
        "--recipes", nargs="+", choices=list(RECIPES), metavar="RECIPE", help=f"of {', '.join(RECIPES)}"
    )
    parser.add_argument("--seeds", type=_positive, help=f"(default: {SEEDS}, or {QUICK_SEEDS} with --quick)")
    parser.add_argument(
        "--steps", type=_positive,
        help=f"of the generator (default: {STEPS}, or {QUICK_STEPS} with --quick)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="the run folder (default: runs/modes, or runs/modes-quick)")
    parser.add_argument(
        "--processes", type=_positive, default=os.cpu_count() or 1, help="(default: all cores)"
    )
    parser.add_argument("--write", action="store_true", help="put table and last pictures into docs/results")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are whole numbers from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
