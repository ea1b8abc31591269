"""A soak of a real server, in short minutes: what it notes of each, its table and its plot."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import results
from benchmarks.__main__ import main
from benchmarks.load.progress import Progress
from benchmarks.machine import manifest
from benchmarks.report import tables_of
from benchmarks.results import Json
from benchmarks.servers import family
from benchmarks.soak import soaking
from benchmarks.soak.picture import draw
from benchmarks.soak.soaking import soak
from generator import Generator


def test_a_soak_notes_every_minute_and_the_whole(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soaking, "CAPACITY_S", 1.0)
    generator = Generator.open(grey)
    result: Json = {}
    progress = Progress(Console(file=io.StringIO()))
    for found in soak(generator, "label", share=0.05, minutes=3, minute_s=1, progress=progress):
        result = {"manifest": manifest(generator.artifact, minute_s=1), **found}
    minutes = result["minutes"]
    assert len(minutes) == 3
    for minute in minutes:
        assert minute["requests"] == minute["answered"] > 0
        assert minute["refused"] == minute["failed"] == 0
        assert minute["checked"] > 0
        assert minute["uss_mib"] > 10
        assert minute["client_uss_mib"] > 10
        assert minute["files"] > 0
    assert result["whole"]["samples"] == sum(minute["answered"] for minute in minutes)
    assert result["rate_per_s"] == 0.05 * result["capacity_per_s"] > 0
    kind, (table,) = tables_of(result)
    assert kind == "soak"
    whole = {row[0]: row[-1] for row in table.rows}
    assert whole["requests"] == f"{sum(minute['requests'] for minute in minutes):,}"
    plot = tmp_path / "soak.svg"
    assert draw(result, plot)
    assert plot.read_text().startswith("<?xml")


def test_a_soak_whose_server_dies_keeps_and_shows_the_minutes_before(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(soaking, "PEAK_S", 1.0)
    monkeypatch.setattr(soaking, "CAPACITY_S", 1.0)
    before = family(os.getpid())

    def kill_the_server_after_a_minute() -> None:
        while not list(tmp_path.glob("soak-*.json")):
            time.sleep(0.1)
        for process in family(os.getpid()):
            if process not in before and "benchmarks.load.worker" not in process.cmdline():
                process.kill()

    killer = threading.Thread(target=kill_the_server_after_a_minute)
    killer.start()
    code = main(["soak", "--model", str(grey), "--minutes", "50", "--minute-seconds", "1", "--percent", "5"])
    killer.join()
    assert code == 2
    (file,) = tmp_path.glob("soak-*.json")
    assert 1 <= len(results.read(file)["minutes"]) < 50
    shown = capsys.readouterr()
    assert "A steady load" in shown.out
    assert "none of" in shown.err
    assert str(file) in shown.err
