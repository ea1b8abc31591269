"""A run's statistics as they come: written, watched, drawn, and summed up at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from training.config import TrainConfig
from training.monitors.alarms import RULES, Alarm
from training.monitors.picture import draw_stats
from training.monitors.tensorboard import Events
from training.monitors.window import Line
from training.run_folder import RunFolder

DRAWN_EVERY_S = 60  # at most so often, and at the end
DRAWING_SHARE = 1 / 200  # of the time, at most
SUMMARY = "summary.json"

Tell = Callable[[Alarm], None]


class Monitor:
    """Goes on from the lines that the run folder has; tells of each kind of alarm once in a run."""

    def __init__(self, config: TrainConfig, folder: RunFolder, tell: Tell) -> None:
        self.folder, self.tell = folder, tell
        read = folder.read_stats()
        self.lines: list[Line] = [line for line in read if "alarm" not in line]
        self.alarms = [Alarm.from_json(line) for line in read if "alarm" in line]
        shown = self.lines[-1]["kimg"] if self.lines else 0
        self.events = Events(folder.path, shown) if config.tensorboard else None
        self._drawn, self._drawing_s = time.monotonic(), 0.0

    def add(self, line: Line) -> None:
        """A new line of statistics; raises the alarms that it gives reason for."""
        self.lines.append(line)
        self.folder.add_stats(line)
        if self.events:
            self.events.add(line)
        told = {alarm.kind for alarm in self.alarms}
        for alarm in filter(None, (rule(self.lines) for rule in RULES)):
            if alarm.kind not in told:
                self.alarm(alarm)
        if time.monotonic() - self._drawn > max(DRAWN_EVERY_S, self._drawing_s / DRAWING_SHARE):
            self.draw()

    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)
        self.folder.add_stats(alarm.to_json())
        if self.events:
            self.events.alarm(alarm)
        self.tell(alarm)

    def sheet(self, kimg: float, sheet: Image.Image) -> None:
        if self.events:
            self.events.sheet(kimg, sheet)

    def draw(self) -> None:
        began = time.monotonic()
        draw_stats(self.folder.path, self.lines, self.alarms)
        self._drawn = time.monotonic()
        self._drawing_s = self._drawn - began

    def close(self, ended: str, kimg: float) -> None:
        """The picture and the summary: how the run ended, its last line, its alarms."""
        self.draw()
        content: dict[str, Any] = {
            "ended": ended,
            "kimg": kimg,
            "last": self.lines[-1] if self.lines else None,
            "alarms": [alarm.to_json() for alarm in self.alarms],
        }
        (self.folder.path / SUMMARY).write_text(json.dumps(content, indent=2) + "\n")
        if self.events:
            self.events.close()
