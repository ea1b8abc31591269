"""The training loop: steps until the run is as long as asked, with statistics and checkpoints."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType
from typing import Literal

from training.best import BestCheckpoint
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import Dataset
from training.execution import use_threads
from training.monitors.alarms import Alarm, not_a_number
from training.monitors.convergence import converged
from training.monitors.held_out import HeldOut, set_aside
from training.monitors.monitor import Monitor
from training.monitors.window import Window
from training.run_folder import RunFolder
from training.team import ALONE, Team
from training.trainer import Trainer

LOOK_STEPS = 10  # so often losses are looked at, and a team agrees to go on: both wait for the step at hand

Report = Callable[[int, dict[str, float]], None]  # (images_shown, latest statistics)
Ended = Literal["finished", "converged", "stopped"]  # stopped: by a signal


class Verdict(IntEnum):
    """What follows from a look at a run; the largest of all processes' holds for all."""

    GO_ON = 0
    STOP = 1  # by a signal
    CONVERGED = 2
    DIVERGED = 3


class TrainingDiverged(RuntimeError):
    """Losses or weights that are no longer numbers; the last checkpoint was kept."""


def train(
    config: TrainConfig,
    dataset: Dataset,
    folder: RunFolder,
    resume_from: Checkpoint | None,
    report: Report,
    best: BestCheckpoint | None = None,
    *,
    test: Dataset | None = None,
    tell: Callable[[Alarm], None] = lambda alarm: None,
    team: Team = ALONE,
) -> Ended:
    """Trains to `total_kimg`, or less where a signal or convergence stops it; the state is saved.

    `best` is shown a checkpoint every `best_kimg` and at the end, `tell` hears alarms; both, and the folder,
    are the leader's business. `test`: images of the data's own that no step is to see.

    Raises ConfigError before anything is written, TrainingDiverged when a loss is not finite.
    """
    use_threads(config)
    learnt_from, unseen = set_aside(config, dataset, test)
    trainer = Trainer(config, dataset.spec(config), learnt_from, team)
    if resume_from is not None:
        trainer.restore(resume_from)
    elif team.leads:
        folder.check_free()
    held_out = HeldOut(trainer, learnt_from, unseen) if team.leads and unseen else None
    run = _Run(trainer, folder if team.leads else None, best, held_out, tell, report)
    with _stop_signals() as stopped:
        try:
            ended = run.train(stopped)
        except TrainingDiverged:
            run.close("diverged")
            raise
    run.close(ended)
    return ended


class _Run:
    """One call of `train`: the trainer, and all that looks at it."""

    def __init__(
        self,
        trainer: Trainer,
        folder: RunFolder | None,
        best: BestCheckpoint | None,
        held_out: HeldOut | None,
        tell: Callable[[Alarm], None],
        report: Report,
    ) -> None:
        """Without a folder it only takes its share of the work."""
        self.trainer, self.config, self.team = trainer, trainer.config, trainer.team
        self.folder, self.best, self.held_out, self.report = folder, best, held_out, report
        self.window = Window(trainer.images_shown, trainer.feed.waited_s, self.team)
        self.saved_at = trainer.images_shown
        self.line: dict[str, float] = {}
        self.monitor: Monitor | None = None
        if folder:
            folder.begin(self.config, trainer.images_shown)
            self.monitor = Monitor(self.config, folder, tell)
        # To look is to wait for the step at hand, or for the others.
        at_once = self.team.size == 1 and trainer.device.type == "cpu"
        self.look_steps = 1 if at_once else LOOK_STEPS

    def train(self, stopped: threading.Event) -> Ended:
        """Steps until the end; the checkpoint is written, the summary is not yet."""
        total, steps, verdict = math.ceil(self.config.total_kimg * 1000), 0, Verdict.GO_ON
        while self.trainer.images_shown < total and verdict == Verdict.GO_ON:
            self.window.add(self.trainer.step())
            steps, ends = steps + 1, self.trainer.images_shown >= total
            writes = ends or self._due(self.config.stats_kimg)
            saves = ends or self._due(self.config.checkpoint_kimg)
            if steps % self.look_steps == 0 or writes or saves:
                verdict = self._verdict(stopped)
            if writes:
                self._add_line()
            self.report(self.trainer.images_shown, self.line)
            if saves:
                self._save()
            if self.best and (ends or self._due(self.best.every_kimg)):
                self._check(self.trainer.finite)
                self.best.consider(self.trainer.checkpoint())
        if self.saved_at < self.trainer.images_shown:
            self._save()
        if self.trainer.images_shown >= total:
            return "finished"
        return "converged" if verdict == Verdict.CONVERGED else "stopped"

    def close(self, ended: str) -> None:
        if self.monitor:
            self.monitor.close(ended, self.trainer.images_shown / 1000)

    def _verdict(self, stopped: threading.Event) -> Verdict:
        """What all processes do after this step. Raises TrainingDiverged."""
        mine = Verdict.GO_ON
        if stopped.is_set():
            mine = Verdict.STOP
        if self.config.stop_when_converged and self.best and converged(self.best.scores):
            mine = Verdict.CONVERGED
        if not self.window.finite:
            mine = Verdict.DIVERGED
        verdict = Verdict(self.team.largest(mine))
        self._check(verdict != Verdict.DIVERGED)
        return verdict

    def _check(self, finite: bool) -> None:
        """So that weights that are no longer numbers never overwrite a good checkpoint."""
        if finite:
            return
        where = self.folder.path if self.folder else "the run folder"
        kept = f"the checkpoint of {self.saved_at / 1000:.1f} kimg is kept in {where}"
        alarm = not_a_number(
            self.trainer.images_shown / 1000, kept if self.saved_at else "none was saved yet"
        )
        if self.monitor:
            self.monitor.alarm(alarm)
        raise TrainingDiverged(
            f"losses or weights are no longer numbers at {alarm.kimg:.1f} kimg: {alarm.remedy}"
        )

    def _add_line(self) -> None:
        self.line = self.window.close(self.trainer.images_shown, self.trainer.feed.waited_s)
        if self.held_out:
            self.line |= self.held_out.scores()
        if self.monitor:
            self.monitor.add(self.line)

    def _save(self) -> None:
        self._check(self.trainer.finite)
        if self.folder and self.monitor:
            sheet = self.folder.save(self.trainer.checkpoint())
            self.monitor.sheet(self.trainer.images_shown / 1000, sheet)
        self.saved_at = self.trainer.images_shown

    def _due(self, every_kimg: float) -> bool:
        """Whether the last step went over a multiple of `every_kimg`."""
        every, shown = every_kimg * 1000, self.trainer.images_shown
        return shown // every > (shown - self.trainer.images_a_step) // every


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end the run after the step at hand; a second one ends it at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
