"""Laws of the access log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.access_log import MAX_PATH, AccessLog


def logged(path: Path, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    log = AccessLog(str(path))
    for request in requests:
        log.add({"method": "GET", "client": ("10.0.0.1", 5), **request}, 200, 0.0015)
    log.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_reply_is_one_line_of_json_in_order(tmp_path: Path) -> None:
    lines = logged(
        tmp_path / "log", {"path": "/livez"}, {"path": "/v1/images", "method": "POST", "client": None}
    )
    assert [line["path"] for line in lines] == ["/livez", "/v1/images"]
    assert lines[0] | {"time": ""} == {
        "time": "", "client": "10.0.0.1", "method": "GET", "path": "/livez", "status": 200, "ms": 1.5,
    }  # fmt: skip
    assert lines[0]["time"].endswith("Z")
    assert lines[1]["client"] == ""


def test_a_path_cannot_forge_a_line_nor_fill_the_disk(tmp_path: Path) -> None:
    forged = '/x\n{"path": "/livez"}' + "\x1b[2J" + "y" * 10_000
    (line,) = logged(tmp_path / "log", {"path": forged})
    assert line["path"] == forged[:MAX_PATH]


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    logged(tmp_path / "log", {"path": "/first"})
    assert [line["path"] for line in logged(tmp_path / "log", {"path": "/second"})] == ["/first", "/second"]
