from __future__ import annotations

import pytest

from service.settings import load_settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINTAGE_MAX_BATCH", "32")
    assert load_settings().max_batch == 32


def test_a_misspelt_setting_is_told_and_an_orchestrators_variable_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINTAGE_MAX_BACH", "8")
    monkeypatch.setenv("MINTAGE_SERVICE_HOST", "10.0.0.1")
    assert load_settings().max_batch is None
    told = capsys.readouterr().err
    assert "MINTAGE_MAX_BACH is not a setting: there are MINTAGE_ACCESS_LOG" in told


def test_a_value_out_of_range_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINTAGE_MAX_BATCH", "1")
    with pytest.raises(SystemExit, match=r"MINTAGE_MAX_BATCH '1': Input should be greater"):
        load_settings()
