"""python -m benchmarks load, against the service's application behind a real socket."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.load import selftest, session
from benchmarks.load.command import INVALID, WRONG_PIXEL
from benchmarks.load.histogram import Histogram
from service.routes import ROUTES
from tests.benchmarks.conftest import Serving

KEY = "0123456789abcdef0123456789abcdef"
QUICK = ("--rate", "200", "--seconds", "1", "--warm-up", "0.2")


def load(*arguments: str) -> int:
    return main(["load", *arguments])


def test_a_report_has_the_figures_and_holds_itself_together(
    serving: Serving, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, bodies = tmp_path / "reports" / "one", list[dict[str, Any]]()
    with serving(bodies, api_keys=(KEY,)) as url:
        mix = "label=5,latent=2,n=1,zip=1,interpolation=1"
        options = ("--mix", mix, "--processes", "2", "--artifact", str(grey))
        code = load(url, *QUICK, *options, "--api-key", KEY, "--report", str(folder))
    result = json.loads((folder / "report.json").read_text())
    (run,) = result["loads"]
    assert code == (0 if run["valid"] else INVALID)
    assert run["requests"] == run["answered"] == run["statuses"]["200"] == run["latency"]["samples"]
    assert run["checked"] > 4
    assert run["stages"][0]["engine"] > 0
    assert sum(run["batches"].values()) == run["stages"][0]["answers"]
    assert run["kinds"].keys() == {"label", "latent", "n", "zip", "interpolation"}
    assert sum(kind["requests"] for kind in run["kinds"].values()) == run["requests"]
    again = Histogram.merged([run["histograms"]["latency_us"]])
    assert again.percentiles()["p50"].ms == run["latency"]["p50"]["ms"]  # type: ignore[union-attr]
    page, text = ((folder / name).read_text() for name in ("report.html", "report.md"))
    assert page.count("<svg") == 4
    assert f"{run['goodput_per_s']:,.0f}" in page
    assert not re.search(r'<script|<link|(src|href)="(?!#)', page)  # nothing to fetch
    assert "pixel for pixel, all right" in text
    assert KEY not in page + text + json.dumps(result)
    assert len({body["seed"] for body in bodies if "seed" in body}) == sum("seed" in one for one in bodies)
    assert len(bodies) == 5 + result["warm_up"]["requests"] + run["requests"]
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def test_one_wrong_pixel_fails_the_run_and_leaves_no_report(
    serving: Serving, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(wrong_pixel=True) as url:
        code = load(url, *QUICK, "--artifact", str(grey), "--report", str(tmp_path / "report"))
    assert code == WRONG_PIXEL
    assert "1 of 196 pixels are wrong" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_lags_makes_the_run_invalid(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "OPEN_CONNECTIONS", 1)  # what waits for it was not sent in time
    with serving(slow_s=0.02) as url:
        options = ("--rate", "100", "--seconds", "0.5", "--warm-up", "0")
        code = load(url, *options, "--report", str(tmp_path / "report"))
    assert code == INVALID
    assert "INVALID" in capsys.readouterr().err
    assert not json.loads((tmp_path / "report" / "report.json").read_text())["valid"]


def test_a_closed_loop_shows_the_peak(serving: Serving, tmp_path: Path) -> None:
    with serving() as url:
        options = ("--connections", "5", "--processes", "2", "--seconds", "0.5", "--warm-up", "0")
        assert load(url, *options, "--report", str(tmp_path / "report")) == 0
    result = json.loads((tmp_path / "report" / "report.json").read_text())
    (run,) = result["loads"]
    assert (result["mode"], run["connections"], result["warm_up"]) == ("closed", 5, None)
    assert run["requests"] >= run["answered"] >= run["goodput_per_s"] * run["seconds"] > 0


def test_refusals_stay_in_the_count(serving: Serving, tmp_path: Path) -> None:
    keys = {"api_keys": (KEY,), "rate_images_per_s": 50.0, "rate_burst_images": 20}
    with serving(**keys) as url:
        code = load(url, *QUICK, "--warm-up", "0", "--api-key", KEY, "--report", str(tmp_path / "report"))
    (run,) = json.loads((tmp_path / "report" / "report.json").read_text())["loads"]
    assert code == (0 if run["valid"] else INVALID)
    assert run["refused"] == run["statuses"]["429"] > 50
    assert run["answered"] + run["refused"] + run["failed"] == run["requests"]
    assert run["latency"]["samples"] == run["answered"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--rate", "10", "https://127.0.0.1:1"), "https is not spoken here"),
        (("--rate", "10", "127.0.0.1:1"), "use http://HOST:PORT"),
        (("--rate", "10", "http://127.0.0.1:1/v1/images"), "--mix"),
        (("--rate", "10", "http://127.0.0.1:x"), "use http://HOST:PORT"),
        (("--rate", "10"), "no URL"),
        (("http://127.0.0.1:1",), "choose --rate N"),
        (("--rate", "10", "--sweep", "http://127.0.0.1:1"), "choose one of"),
        (("--connections", "2", "--processes", "3", "http://127.0.0.1:1"), "one each at least"),
    ],
)
def test_what_is_asked_wrongly_is_told_on_one_line(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(*arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_what_is_not_there_or_no_service_is_told_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        assert load(f"http://127.0.0.1:{taken.getsockname()[1]}", "--rate", "10") == 2
    error = capsys.readouterr().err
    assert "does not answer" in error
    assert error.count("\n") == 1


def test_what_the_service_does_not_have_is_told_on_one_line(
    serving: Serving,
    rgb: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(ROUTES, "/v1/interpolations")  # as in an earlier version
    with serving() as url:
        for arguments, told in (
            (("--mix", "label,interpolation"), "POST /v1/interpolations of http://127.0.0.1:"),
            (("--mix", "labels=3"), "mix 'labels=3'"),
            (("--model", "none"), "it serves grey, rgb"),
            (("--artifact", str(rgb)), "the service serves grey@"),
            (("--report", str(tmp_path)), "is there already"),
        ):
            assert load(url, "--rate", "10", *arguments) == 2
            error = capsys.readouterr().err
            assert told in error
            assert error.splitlines()[-1].startswith("error: ")
    with serving(api_keys=(KEY,)) as url:
        assert load(url, "--rate", "10") == 2
    assert "MINTAGE_API_KEY" in capsys.readouterr().err


def test_the_self_test_shows_the_pause_that_a_closed_loop_hides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"TURNS": 1, "TURN_S": 1, "PAUSED_S": 1.0, "PAUSE_EVERY_MS": 300}.items():
        monkeypatch.setattr(selftest, name, value)
    assert load("--self-test") == 0
    shown = capsys.readouterr().out
    assert "this client, one process" in shown
    lines = [line.strip() for line in shown.splitlines()]
    shares = {
        name: float(line.split("%")[0].split()[-1])
        for name in ("open loop", "closed loop")
        for line in lines
        if line.startswith(name)
    }
    assert shares["open loop"] > 20
    assert shares["closed loop"] < 5


def test_a_load_in_which_no_request_is_due_is_told_on_one_line(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as url:
        options = ("--rate", "0.001", "--seconds", "0.1", "--warm-up", "0", "--seed", "1")
        assert load(url, *options, "--report", str(tmp_path / "report")) == 2
    assert "no request was due: a higher rate or more seconds" in capsys.readouterr().err
