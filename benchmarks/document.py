"""docs/benchmarks.md: tables and plots of a result go between its marks, the result itself beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import peers_plot
from benchmarks.engine import picture as engine_plot
from benchmarks.report import about, tables_of
from benchmarks.results import Json, write
from benchmarks.servers import ROOT
from benchmarks.soak import picture as soak_plot
from benchmarks.tables import show, write_section

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "plots"
PUBLISHED = ROOT / "docs" / "results" / "benchmarks"  # KIND.json: every measurement behind the tables
PICTURES: dict[str, Callable[[Json, Path], bool]] = {  # of the kinds that have one; False: nothing to draw
    "engine": engine_plot.draw,
    "peers": peers_plot.draw,
    "soak": soak_plot.draw,
}
ABOUT = {  # what a picture shows, for those who do not see it
    "engine": "Images a second and the time of a call of each engine, for batches of 1 to 64",
    "peers": peers_plot.ABOUT,
    "soak": "Latency, memory and open files, minute by minute",
}
TITLES = {"mlperf": "MLPerf"}  # of the kinds that are not written as words

console = Console(stderr=True, highlight=False)


def tell(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def finish(result: Json, file: Path, publish: bool) -> None:
    """Shows a result's tables; with `publish` they and its plot become a section of the document."""
    kind, tables = tables_of(result)
    show(tables)
    tell(f"-> {file}")
    if publish:
        plot = PLOTS / f"{kind}.svg"
        has_plot = kind in PICTURES and PICTURES[kind](result, plot)
        write_section(DOCUMENT, kind, section(result, plot if has_plot else None))
        write(PUBLISHED / f"{kind}.json", result)
        tell(f"-> {DOCUMENT}, {PUBLISHED / kind}.json")


def section(result: Json, plot: Path | None) -> str:
    """A result as Markdown. Raises ResultError for one that has no tables."""
    kind, tables = tables_of(result)
    parts = [f"## {TITLES.get(kind, kind.capitalize())}", about(result)]
    if plot:
        parts.append(f"![{ABOUT[kind]}]({plot.relative_to(DOCUMENT.parent)})")
    return "\n\n".join([*parts, *(table.markdown() for table in tables)])
