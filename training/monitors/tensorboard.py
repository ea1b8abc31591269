"""Statistics as TensorBoard reads them: `tensorboard --logdir runs`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

from training.monitors.alarms import Alarm
from training.monitors.window import Line

FOLDER = "tensorboard"


class Events:
    """Writes to the run folder's tensorboard/; a step there is a real image shown.

    What an earlier part of the run wrote beyond `kimg`, where it resumes, TensorBoard drops.
    """

    def __init__(self, folder: Path, kimg: float) -> None:
        shown = _images(kimg)
        # Files are named by the second; the suffix tells apart the parts of a run that is resumed at once.
        self._writer = SummaryWriter(
            str(folder / FOLDER), purge_step=shown + 1, filename_suffix=f".{shown:012d}"
        )

    def add(self, line: Line) -> None:
        for name, value in line.items():
            if name != "kimg":
                self._writer.add_scalar(name, value, _images(line["kimg"]))

    def alarm(self, alarm: Alarm) -> None:
        self._writer.add_text(f"alarm/{alarm.kind}", str(alarm), _images(alarm.kimg))

    def sheet(self, kimg: float, sheet: Image.Image) -> None:
        self._writer.add_image("sheet", np.asarray(sheet.convert("RGB")), _images(kimg), dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


def _images(kimg: float) -> int:
    return round(kimg * 1000)
