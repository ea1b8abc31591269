"""How far a measurement is: one bar a step, while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[float], None]  # hears the share that is done


class Steps:
    """Shows steps on a console, or nothing on None."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        if self._console is None:
            yield lambda share: None
            return
        columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn()
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(title, total=1.0)
            yield lambda share: progress.update(bar, completed=share)
            progress.update(bar, completed=1.0)
