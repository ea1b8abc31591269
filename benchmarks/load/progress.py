"""A load while it runs: one line that changes in a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.load.ledger import Ledger
from benchmarks.load.measured import REFUSED
from benchmarks.load.outcome import OK, percentiles

PLAIN_EVERY_S = 5.0
COLUMNS = ("", "s", "sent", "answered", "p50 ms", "p99 ms", "refused", "errors", "lag ms")


class Progress:
    """Looks at ledgers while others write them: some ms of a processor each time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._name, self._told_s = "", 0.0

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def begin(self, name: str) -> None:
        """What comes next is called so."""
        self._name, self._told_s = name, 0.0

    def look(self, ledgers: Sequence[Ledger], seconds: float) -> None:
        """Shows how far they are; `seconds` since the beginning."""
        if self._live:
            self._live.update(_table(self._cells(ledgers, seconds)), refresh=True)
        elif seconds - self._told_s >= PLAIN_EVERY_S:
            self._told_s = seconds
            cells = zip(COLUMNS, self._cells(ledgers, seconds), strict=True)
            self.tell("  ".join(f"{name} {cell}".strip() for name, cell in cells))

    def tell(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _cells(self, ledgers: Sequence[Ledger], seconds: float) -> tuple[str, ...]:
        due, sent, done = (
            np.concatenate([getattr(ledger, name) for ledger in ledgers]) for name in ("due", "sent", "done")
        )
        status = np.concatenate([ledger.status for ledger in ledgers])
        began = np.where(np.isnan(due), sent, due)  # a closed loop says so at its end
        latency = percentiles((done - began)[(status == OK) & ~np.isnan(done)] * 1000)
        lag = percentiles((sent - due)[~np.isnan(sent)] * 1000)
        answered, refused = int((status == OK).sum()), int((status == REFUSED).sum())
        errors = int((~np.isin(status, (OK, REFUSED)) & ~np.isnan(done)).sum())
        counts = int((~np.isnan(sent)).sum()), answered
        return (
            self._name,
            f"{seconds:.0f}",
            *(f"{count:,}" for count in counts),
            _ms(latency["p50_ms"]),
            _ms(latency["p99_ms"]),
            f"{refused:,}",
            f"{errors:,}",
            _ms(lag["p99_ms"]),
        )


def _table(cells: tuple[str, ...]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1), collapse_padding=True, pad_edge=False)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if place else "left")
    table.add_row(*cells)
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
