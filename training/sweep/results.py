"""What came of a sweep: a table of the trials, a plot, and results.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState
from rich.table import Table
from rich.text import Text

from training.sweep.searched import Searched
from training.sweep.study import OPTIONS, WHY

RESULTS = "results.json"
MOST_ROWS = 20


def ranked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Whole trials from the best to the worst, then those that were ended early."""
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    early = [trial for trial in trials if trial.state == TrialState.PRUNED]
    return sorted(whole, key=lambda trial: trial.value or 0) + early


def results_table(trials: Sequence[FrozenTrial], searched: Sequence[Searched], kimg: float) -> Table:
    title = f"{len(trials)} trials of {kimg:g} kimg"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("trial", justify="right", style="dim")
    table.add_column("Fréchet distance", justify="right")
    for one in searched:
        table.add_column(Text(one.option), justify="right")
    table.add_column("", style="dim")
    rows = ranked(trials)
    for place, trial in enumerate(rows[:MOST_ROWS]):
        score = f"{trial.value:.4g}" if trial.state == TrialState.COMPLETE else "-"
        values = [Text(options_of(trial).get(one.option, "-")) for one in searched]
        style = "bold" if place == 0 and score != "-" else None
        table.add_row(str(trial.number), score, *values, trial.user_attrs.get(WHY, ""), style=style)
    if len(rows) > MOST_ROWS:
        table.add_row("", f"and {len(rows) - MOST_ROWS} more")
    return table


def options_of(trial: FrozenTrial) -> dict[str, str]:
    """The values a trial was trained with, as they are typed."""
    found: dict[str, str] = trial.user_attrs.get(OPTIONS, {})
    return found


def write_results(folder: Path, trials: Sequence[FrozenTrial], command: str) -> None:
    content = {
        "best_command": command,
        "trials": [
            {
                "number": trial.number,
                "frechet_distance": trial.value if trial.state == TrialState.COMPLETE else None,
                "options": options_of(trial),
                "scores": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
                "ended_early": trial.user_attrs.get(WHY),
            }
            for trial in ranked(trials)
        ],
    }
    (folder / RESULTS).write_text(json.dumps(content, indent=2) + "\n")
