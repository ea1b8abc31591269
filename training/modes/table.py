"""The table: what each recipe found of each mixture, over the seeds."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from training.modes.cells import Cell
from training.modes.mixtures import JUDGED_POINTS, MIXTURES, WITHIN, Coverage
from training.modes.networks import LAYERS
from training.modes.recipes import PLAIN, RECIPES

Json = dict[str, Any]
NAMES = {"ring": "ring of 8", "grid": "grid of 25"}
PUBLISHED = (
    "Published, in the same protocol with other networks and more steps: a plain GAN 6.3 and 17.3, unrolled "
    "7.6 and 23.6, VEEGAN 8 and 24.6, packs of 2 7.9 and 23.8, packs of 4 7.8 and 24.8 (Lin et al. 2018, "
    "Srivastava et al. 2017). One name is not one result: the plain GAN of VEEGAN's authors finds 1 and 3.3."
)


@dataclass(frozen=True)
class Summary:
    """One recipe on one mixture."""

    modes: tuple[int, ...]  # for each seed
    high_quality: tuple[float, ...]

    @property
    def modes_text(self) -> str:
        """Mean, standard deviation over the seeds, and the least: `7.6 +- 0.5 (7)`."""
        text = f"{statistics.mean(self.modes):.1f}"
        if len(self.modes) == 1:
            return text
        return f"{text} ± {statistics.stdev(self.modes):.1f} ({min(self.modes)})"

    @property
    def quality_text(self) -> str:
        return f"{statistics.mean(self.high_quality):.0%}"


def summaries(results: dict[Cell, Coverage]) -> dict[str, dict[str, Summary]]:
    """By recipe, then mixture, in the order of the recipes; only what there are results for."""
    found: dict[str, dict[str, Summary]] = {}
    for recipe in RECIPES:
        for mixture in MIXTURES:
            cells = sorted((c for c in results if (c.recipe, c.mixture) == (recipe, mixture)), key=_by_seed)
            if cells:
                found.setdefault(recipe, {})[mixture] = Summary(
                    tuple(results[cell].modes for cell in cells),
                    tuple(round(results[cell].high_quality, 4) for cell in cells),
                )
    return found


def _by_seed(cell: Cell) -> int:
    return cell.seed


def show(found: dict[str, dict[str, Summary]]) -> None:
    """To standard output."""
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(_columns()):
        table.add_column(column, justify="right" if place else "left")
    for recipe, by_mixture in found.items():
        table.add_row(*_row(recipe, by_mixture))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=110)
    console.print(table)


def write(
    found: dict[str, dict[str, Summary]], steps: int, seeds: int, folder: Path, pictures: list[str]
) -> None:
    """modes.md and modes.json."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = _columns()
    lines = [
        "# Which modes does a generator find?",
        "",
        "Written by `python -m training.modes --write`.",
        "",
        protocol(steps, seeds),
        "",
        "| " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * (len(columns) - 1),
        *("| " + " | ".join(_row(recipe, by_mixture)) + " |" for recipe, by_mixture in found.items()),
        "",
        PUBLISHED,
        "",
        *(f"![{name}]({name})\n" for name in pictures),
    ]
    (folder / "modes.md").write_text("\n".join(lines).rstrip() + "\n")
    content: Json = {
        "protocol": protocol(steps, seeds),
        "steps": steps,
        "torch": torch.__version__,
        "recipes": {
            recipe: {
                "config": RECIPES[recipe].config.to_json(),
                **{
                    mixture: {"modes": summary.modes, "high_quality": summary.high_quality}
                    for mixture, summary in by_mixture.items()
                },
            }
            for recipe, by_mixture in found.items()
        },
    }
    (folder / "modes.json").write_text(json.dumps(content, indent=1) + "\n")


def protocol(steps: int, seeds: int) -> str:
    """How the figures come about, in a paragraph."""
    ring, grid = MIXTURES["ring"], MIXTURES["grid"]
    return (
        f"Ring: 8 round Gaussians of standard deviation {ring.deviation:g} on a circle of radius 1. Grid: 25 "
        f"of {grid.deviation:g}, 2 apart, from -4 to 4. As in PacGAN (Lin et al. 2018), {JUDGED_POINTS:,} "
        f"points are generated from {PLAIN.latent_dim}-dimensional Gaussian noise; a point within {WITHIN} "
        "standard deviations of the nearest centre is of high quality, and a mode is found when it has one "
        "such point. What is judged is the generator after the last step. Unlike there, both networks are of "
        f"{PLAIN.generator_width} units a layer, {LAYERS + 1} hidden layers with batch normalisation in the "
        f"generator and {LAYERS} in the discriminator, and they learn for {steps:,} steps of the generator, "
        f"from fresh points, {PLAIN.batch} a step, with Adam ({PLAIN.beta1:g}, {PLAIN.beta2:g}) at "
        f"{PLAIN.generator_lr:g}, which goes down to {PLAIN.generator_lr_end:g} as a cosine. Mean over "
        f"{seeds} seeds ± standard deviation (the least of them); high quality is a mean."
    )


def _columns() -> list[str]:
    return ["recipe", *(c for m in MIXTURES for c in (NAMES[m], "high quality"))]


def _row(recipe: str, by_mixture: dict[str, Summary]) -> list[str]:
    row = [RECIPES[recipe].about]
    for mixture in MIXTURES:
        summary = by_mixture.get(mixture)
        row += [summary.modes_text, summary.quality_text] if summary else ["", ""]
    return row
