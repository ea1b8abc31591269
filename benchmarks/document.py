"""docs/benchmarks.md: tables and plots of a result go between its marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.report import about
from benchmarks.results import Json
from benchmarks.servers import ROOT
from benchmarks.tables import Table, show, write_section

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "plots"

console = Console(stderr=True, highlight=False)


def tell(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def finish(
    kind: str, result: Json, tables: Sequence[Table], file: Path, write: bool, plots: Sequence[Path] = ()
) -> None:
    """Shows the tables of a result; with `write` they and the plots become a section of the document."""
    show(tables)
    tell(f"-> {file}")
    if write:
        pictures = [f"![{plot.stem}]({plot.relative_to(DOCUMENT.parent)})" for plot in plots]
        parts = [f"## {kind.capitalize()}", about(result), *pictures, *(table.markdown() for table in tables)]
        write_section(DOCUMENT, kind, "\n\n".join(parts))
        tell(f"-> {DOCUMENT}")
