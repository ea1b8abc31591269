"""The training loop: steps until the run is as long as asked, with statistics and checkpoints."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from training.best import BestCheckpoint
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import Dataset
from training.game import StepLosses
from training.run_folder import RunFolder
from training.trainer import Trainer

Report = Callable[[int, dict[str, float]], None]  # (images_shown, latest statistics)


class TrainingDiverged(RuntimeError):
    """Losses or weights that are no longer numbers; the last checkpoint was kept."""


def train(
    config: TrainConfig,
    dataset: Dataset,
    folder: RunFolder,
    resume_from: Checkpoint | None,
    report: Report,
    best: BestCheckpoint | None = None,
) -> bool:
    """Trains to `total_kimg`; True when it got there, False when a signal stopped it (state saved).

    `best` is shown a checkpoint every `best_kimg` and at the end.

    Raises ConfigError before anything is written, TrainingDiverged when a loss is not finite.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    trainer = Trainer(config, dataset.spec(config), dataset)
    if resume_from is not None:
        trainer.restore(resume_from)
    else:
        folder.check_free()
    folder.begin(config, trainer.images_shown)

    total = math.ceil(config.total_kimg * 1000)
    window = _Window(trainer.images_shown)
    saved_at = trainer.images_shown

    def check_finite(finite: bool) -> None:
        """So that weights that are no longer numbers never overwrite a good checkpoint."""
        if not finite:
            raise TrainingDiverged(
                f"losses or weights are no longer numbers at {trainer.images_shown / 1000:.1f} kimg; the "
                f"checkpoint of {saved_at / 1000:.1f} kimg is kept in {folder.path}. Lower learning rates "
                "help, and spectral normalisation"
            )

    def save() -> None:
        nonlocal saved_at
        check_finite(trainer.finite)
        folder.save(trainer.checkpoint())
        saved_at = trainer.images_shown

    with _stop_signals() as stopped:
        while trainer.images_shown < total and not stopped.is_set():
            window.add(trainer.step())
            shown = trainer.images_shown
            check_finite(window.finite)
            if _crossed(shown, trainer.images_a_step, config.stats_kimg) or shown >= total:
                folder.add_stats(window.close(shown))
            report(shown, window.stats)
            if _crossed(shown, trainer.images_a_step, config.checkpoint_kimg):
                save()
            if best and (_crossed(shown, trainer.images_a_step, best.every_kimg) or shown >= total):
                check_finite(trainer.finite)
                best.consider(trainer.checkpoint())
        if saved_at < trainer.images_shown:
            save()
    return trainer.images_shown >= total


def _crossed(images_shown: int, images_a_step: int, every_kimg: float) -> bool:
    """Whether the last step went over a multiple of `every_kimg`."""
    every = every_kimg * 1000
    return images_shown // every > (images_shown - images_a_step) // every


class _Window:
    """Sums losses until the next line of statistics."""

    def __init__(self, images_shown: int) -> None:
        self.stats: dict[str, float] = {}
        self._start(images_shown)

    def _start(self, images_shown: int) -> None:
        self._sums, self._steps = torch.zeros(4), 0
        self._since, self._from = time.perf_counter(), images_shown

    def add(self, losses: StepLosses) -> None:
        self._sums += torch.stack(list(losses)).cpu()
        self._steps += 1

    @property
    def finite(self) -> bool:
        """Whether every loss so far was a number."""
        return bool(self._sums.isfinite().all())

    def close(self, images_shown: int) -> dict[str, float]:
        means = (self._sums / self._steps).tolist()
        seconds = time.perf_counter() - self._since
        self.stats = {
            "kimg": images_shown / 1000,
            "images_per_s": round((images_shown - self._from) / seconds, 1),
            **{
                key: round(mean, 5)
                for key, mean in zip(
                    (
                        "generator_loss",
                        "discriminator_loss",
                        "discriminator_real_accuracy",
                        "discriminator_fake_accuracy",
                    ),
                    means,
                    strict=True,
                )
            },
        }
        self._start(images_shown)
        return self.stats


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
