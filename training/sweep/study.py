"""The trials of a sweep: short runs of training, proposed by Optuna, kept in a folder that may be resumed.

A trial's score is the best Fréchet distance in the judge's features that its checkpoints had. A trial that is
behind the median of the others at the same point is ended there, one whose weights are no longer numbers too.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice, product
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from training.best import BestCheckpoint, Scorer
from training.config import ConfigError, TrainConfig
from training.data import Dataset
from training.loop import TrainingDiverged, train
from training.run_folder import RunFolder
from training.sweep.searched import Searched, Value, with_values

SCORES_PER_TRIAL = 5
UNPRUNED = 5  # first trials that are never ended early: the median needs some
MOST_CHECKED = 100  # combinations of values, before a sweep begins
PLAN, STUDY, TRIALS = "sweep.json", "study.log", "trials"
WHY = "why"  # a trial's own word on how it ended
OPTIONS = "options"  # the values it was trained with, as they are typed


@dataclass(frozen=True)
class Plan:
    """What makes a sweep this one: a resumed sweep has the same."""

    config: TrainConfig  # of every trial, but for what is searched
    searched: tuple[Searched, ...]
    trial_kimg: float

    def to_json(self) -> dict[str, object]:
        searched = {one.option: asdict(one) for one in self.searched}
        fields = {key: value for key, value in self.config.to_json().items() if key != "out"}
        return {"trial_kimg": self.trial_kimg, "searched": searched, "config": fields}

    def trial_config(self, values: dict[str, Value], folder: Path) -> TrainConfig:
        every = self.trial_kimg / SCORES_PER_TRIAL
        base = replace(
            self.config,
            total_kimg=self.trial_kimg,
            checkpoint_kimg=self.trial_kimg,
            best_kimg=every,
            out=str(folder),
        )
        return with_values(base, values)


class Sweep:
    """Opens the folder of a sweep, new or begun. Raises ConfigError where another one has been."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self._check_values()
        self._check_same()
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{PLAN}.unfinished"
        unfinished.write_text(json.dumps(plan.to_json(), indent=2) + "\n")
        unfinished.replace(folder / PLAN)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = _open_journal(folder / STUDY)
        self.study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(UNPRUNED, n_warmup_steps=1),
        )
        # Seeded by how many there are: a resumed sweep does not propose its first trials again.
        self.study.sampler = optuna.samplers.TPESampler(seed=plan.config.seed + len(self.study.trials))
        self._put_back_killed()

    def _check_values(self) -> None:
        """Raises ConfigError for a value that is refused whatever the other options are.

        One that is refused beside some values of others only is for the trials to find out.
        """
        refused: dict[tuple[str, Value], ConfigError] = {}
        taken: set[tuple[str, Value]] = set()
        options = [one.option for one in self.plan.searched]
        for ends in islice(product(*(one.ends for one in self.plan.searched)), MOST_CHECKED):
            values = dict(zip(options, ends, strict=True))
            try:
                self.plan.trial_config(values, self.folder)
                taken |= set(values.items())
            except ConfigError as error:
                refused |= dict.fromkeys(values.items(), error)
        if never := [item for item in refused if item not in taken]:
            raise refused[never[0]]

    def _check_same(self) -> None:
        file = self.folder / PLAN
        if not file.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise ConfigError(f"{self.folder} is already there and is no sweep: give another --out")
            return
        plan = json.loads(json.dumps(self.plan.to_json()))
        try:
            begun = dict(json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{file} is damaged, so the sweep cannot go on: give another --out") from error
        if differing := [key for key in plan if begun.get(key) != plan[key]]:
            raise ConfigError(
                f"{self.folder} holds a sweep with other {', '.join(differing)} (see its {PLAN}): give the "
                "same to go on with it, or another --out"
            )

    def _put_back_killed(self) -> None:
        """Trials that were running when the sweep was killed come first, from their beginning."""
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    @property
    def finished(self) -> list[FrozenTrial]:
        """Trials that came to an end, their own or an early one."""
        return self.study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))

    def run_trial(
        self,
        dataset: Dataset,
        scorer: Scorer,
        report: Callable[[float], None],
        test: Dataset | None = None,
    ) -> bool:
        """One more trial; False when a signal stopped it. `report` hears the share that is done."""
        trial = self.study.ask()
        values = {one.option: one.suggest(trial) for one in self.plan.searched}
        folder = self.folder / TRIALS / f"{trial.number:03d}"
        shutil.rmtree(folder, ignore_errors=True)
        trial.set_user_attr(OPTIONS, {option: str(value) for option, value in values.items()})
        total = self.plan.trial_kimg * 1000
        run = RunFolder(folder)
        best = BestCheckpoint(scorer, folder, self.plan.trial_kimg / SCORES_PER_TRIAL, _prune_on(trial))
        try:
            config = self.plan.trial_config(values, folder)
            ended = train(
                config,
                dataset,
                run,
                None,
                lambda shown, stats: report(min(1, shown / total)),
                best,
                test=test,
            )
        except (optuna.TrialPruned, TrainingDiverged, ConfigError) as error:
            trial.set_user_attr(WHY, _why(error))
            self.study.tell(trial, state=TrialState.PRUNED)
            return True
        if ended == "stopped":
            self.study.tell(trial, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)
            return False
        self.study.tell(trial, min(best.scores.values()))
        return True


def _open_journal(file: Path) -> JournalStorage:
    """The trials so far, but for a last line that a kill left unfinished. Raises ConfigError."""
    if file.exists():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
    try:
        return JournalStorage(JournalFileBackend(str(file)))
    except ValueError as error:
        raise ConfigError(f"{file} is damaged, so the sweep cannot go on: give another --out") from error


def _prune_on(trial: Trial) -> Callable[[float, float], None]:
    """Tells the study each score, and ends a trial that is behind."""
    step = 0

    def scored(kimg: float, score: float) -> None:
        nonlocal step
        step += 1
        if not math.isfinite(score):
            raise optuna.TrialPruned(f"no score at {kimg:g} kimg")
        trial.report(score, step)
        if step < SCORES_PER_TRIAL and trial.should_prune():
            raise optuna.TrialPruned(f"behind the median at {kimg:g} kimg")

    return scored


def _why(error: Exception) -> str:
    if isinstance(error, TrainingDiverged):
        return "diverged"
    return str(error).splitlines()[0]
