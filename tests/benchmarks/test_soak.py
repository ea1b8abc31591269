"""A soak of a real server, in short minutes: what it notes of each, its table and its plot."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from benchmarks.load.progress import Progress
from benchmarks.machine import manifest
from benchmarks.report import tables_of
from benchmarks.results import Json
from benchmarks.soak.picture import draw
from benchmarks.soak.soaking import soak
from generator import Generator


def test_a_soak_notes_every_minute_and_the_whole(grey: Path, tmp_path: Path) -> None:
    generator = Generator.open(grey)
    result: Json = {}
    progress = Progress(Console(file=io.StringIO()))
    for found in soak(generator, "label", share=0.05, minutes=3, minute_s=1, progress=progress):
        result = {"manifest": manifest(generator.artifact), **found}
    minutes = result["minutes"]
    assert len(minutes) == 3
    for minute in minutes:
        assert minute["requests"] == minute["answered"] > 0
        assert minute["refused"] == minute["failed"] == 0
        assert minute["checked"] > 0
        assert minute["uss_mib"] > 10
        assert minute["files"] > 0
    assert result["whole"]["samples"] == sum(minute["answered"] for minute in minutes)
    assert result["rate_per_s"] == 0.05 * result["peak_per_s"]
    kind, (table,) = tables_of(result)
    assert kind == "soak"
    whole = {row[0]: row[-1] for row in table.rows}
    assert whole["requests"] == f"{sum(minute['requests'] for minute in minutes):,}"
    plot = tmp_path / "soak.svg"
    assert draw(result, plot)
    assert plot.read_text().startswith("<?xml")
