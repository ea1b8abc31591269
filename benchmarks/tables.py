"""Tables: one content, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from benchmarks.repeats import Spread

FILE_WIDTH = 100  # characters of a line where it goes into a file
FIRST_WIDTH = 20  # characters that a narrow terminal leaves to the first column


@dataclass(frozen=True)
class Table:
    """Text in rows; the first column is left-aligned, figures to the right."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    emphasised: frozenset[int] = frozenset()  # rows in bold
    note: str = ""

    def rich(self) -> Group:
        table = RichTable(title=self.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for place, column in enumerate(self.columns):
            longest = max(len(row[place]) for row in [self.columns, *self.rows])
            least = min(longest, FIRST_WIDTH) if place == 0 else None
            table.add_column(column, justify="right" if place else "left", min_width=least)
        for place, row in enumerate(self.rows):
            table.add_row(*map(Text, row), style="bold" if place in self.emphasised else "")
        return Group(table, Text(self.note, style="dim")) if self.note else Group(table)

    def markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        def strong(cells: Sequence[str]) -> list[str]:
            return [f"**{cell}**" if cell else cell for cell in cells]

        rule = ["---", *("---:" for _ in self.columns[1:])]
        rows = [line(strong(row) if n in self.emphasised else row) for n, row in enumerate(self.rows)]
        parts = [f"### {self.title}", "\n".join([line(self.columns), line(rule), *rows])]
        return "\n\n".join([*parts, self.note] if self.note else parts) + "\n"


def show(tables: Sequence[Table]) -> None:
    """To standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_WIDTH)
    for table in tables:
        console.print(table.rich())


def figure(spread: Spread, digits: int | None = None) -> str:
    """The median and, with more than one repeat, its range: `3,290 (3,105-3,361)`."""
    if digits is None:
        digits = 0 if spread.median >= 100 else 1 if spread.median >= 10 else 2
    text = f"{spread.median:,.{digits}f}"
    if spread.count == 1:
        return text
    return f"{text} ({spread.low:,.{digits}f}-{spread.high:,.{digits}f})"


def write_section(file: Path, name: str, content: str) -> None:
    """Puts Markdown between this section's two marks, which are added at the end where there are none."""
    begin, end = marks(name)
    text = file.read_text() if file.is_file() else "# Benchmarks\n"
    section = f"{begin}\n\n{content.strip()}\n\n{end}"
    if begin in text and end in text:
        text = text[: text.index(begin)] + section + text[text.index(end) + len(end) :]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def marks(name: str) -> tuple[str, str]:
    """Where a section begins and where it ends."""
    return f"<!-- {name}: written by python -m benchmarks -->", f"<!-- end of {name} -->"
