"""The cells of the table: each one recipe, mixture and seed, computed once and kept as a file."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.modes.mixtures import JUDGED_POINTS, MIXTURES, Coverage, coverage
from training.modes.recipes import RECIPES
from training.modes.run import Players, play

FILM_SEED = 0  # the seed whose runs are filmed
FRAMES = 48  # of a film, closer together in the beginning
FILM_POINTS = 500
HEAT_SIDE = 48  # points along each axis at which the discriminator is asked
MARGIN = 1.4  # a film shows so many times the reach of the mixture's centres

Json = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    recipe: str
    mixture: str
    seed: int
    steps: int

    @property
    def settings(self) -> Json:
        """All that decides the result: kept with it, so that a changed recipe is computed anew."""
        config = replace(RECIPES[self.recipe].config, seed=self.seed)
        mixture = MIXTURES[self.mixture]
        return {
            "config": config.to_json(),
            "steps": self.steps,
            "deviation": mixture.deviation,
            "centres": [list(centre) for centre in mixture.centres],
            "torch": torch.__version__,
        }

    def file(self, folder: Path) -> Path:
        return folder / "cells" / f"{self.recipe}-{self.mixture}-{self.seed}.json"

    def film(self, folder: Path) -> Path:
        """Where the frames are, for the seed that is filmed."""
        return self.file(folder).with_suffix(".npz")

    def result(self, folder: Path) -> Coverage | None:
        """What was found before, with these very settings; None where there is none, or a damaged file."""
        try:
            content = json.loads(self.file(folder).read_text())
            return Coverage(**content["coverage"]) if content["settings"] == self.settings else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def compute(cells: Iterable[Cell], folder: Path, processes: int, report: Callable[[Cell], None]) -> None:
    """All cells that are not there yet, in processes of one thread each; Ctrl-C leaves the finished ones."""
    missing = [cell for cell in cells if cell.result(folder) is None]
    if not missing:
        return
    with get_context("spawn").Pool(min(processes, len(missing)), _begin) as pool:
        for cell in pool.imap_unordered(partial(_compute, folder=folder), missing):
            report(cell)


def _begin() -> None:
    """Of each process: one thread, and Ctrl-C is the parent's business."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _compute(cell: Cell, folder: Path) -> Cell:
    """Plays one cell's game and writes what came of it; the cell."""
    settings = cell.settings
    config = replace(RECIPES[cell.recipe].config, seed=cell.seed)
    film = Film(cell) if cell.seed == FILM_SEED else None
    outcome = play(config, MIXTURES[cell.mixture], cell.steps, film.look if film else lambda *_: None)
    file = cell.file(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    if film:
        film.save(cell.film(folder))
    content = {
        "settings": settings,
        "coverage": asdict(outcome.coverage),
        "seconds": round(outcome.seconds, 1),
    }
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(file)
    return cell


class Film:
    """Generated points and the discriminator's opinion, at moments that are closer together at first."""

    def __init__(self, cell: Cell) -> None:
        self.mixture = MIXTURES[cell.mixture]
        self.moments = {round(cell.steps * (n / (FRAMES - 1)) ** 2) for n in range(FRAMES)}
        along = torch.linspace(-1, 1, HEAT_SIDE) * self.mixture.reach * MARGIN
        self.places = torch.cartesian_prod(along, along)  # [HEAT_SIDE^2, 2], x slowest
        self.steps: list[int] = []
        self.points: list[torch.Tensor] = []
        self.heat: list[torch.Tensor] = []
        self.found: list[Coverage] = []

    def look(self, step: int, players: Players) -> None:
        if step in self.moments:
            self.steps.append(step)
            points = players.points(JUDGED_POINTS)
            self.points.append(points[:FILM_POINTS])
            self.found.append(coverage(points, self.mixture))
            opinion = players.opinion(self.places, self.mixture)
            self.heat.append(opinion.view(HEAT_SIDE, HEAT_SIDE).T.flip(0))  # rows from the top, columns x

    def save(self, file: Path) -> None:
        np.savez_compressed(
            file,
            steps=np.array(self.steps),
            modes=np.array([found.modes for found in self.found]),
            high_quality=np.array([found.high_quality for found in self.found]),
            points=torch.stack(self.points).numpy(),  # [F, FILM_POINTS, 2]
            heat=torch.stack(self.heat).numpy(),  # [F, HEAT_SIDE, HEAT_SIDE]
        )
