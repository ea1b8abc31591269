"""Server processes: timed until ready, and ended whatever happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import servers
from benchmarks.questions import Question, read_npy
from benchmarks.servers import Server, ServerError, family, running

# Starts a child that never ends by itself, as servers with workers do, then answers everything.
PROGRAM = """
import http.server, io, os, subprocess, sys
import numpy as np

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        buffer = io.BytesIO()
        np.save(buffer, np.zeros((1, 2, 2, 1), np.uint8))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(buffer.getvalue())
    def log_message(self, *arguments): ...

subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
assert "PORT" in os.environ
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""
QUESTION = Question("/", "%d %d", read_npy)


def server(program: str = PROGRAM) -> Server:
    command = (sys.executable, "-c", program)
    return Server("test", command, {**os.environ, "PORT": "{port}"}, "/ready", QUESTION)


def test_a_server_and_its_children_are_ended_also_after_an_error(tmp_path: Path) -> None:
    processes = []

    def interrupted() -> None:
        with running(server(), tmp_path / "log") as process:
            processes.extend(family(process.process.pid))
            assert process.ready_s > 0
            assert process.first_request_ms > 0
            assert process.memory().rss_bytes >= process.memory().uss_bytes > 2**20
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(processes) == 2
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def test_a_server_that_ends_at_its_start_is_told_with_its_log(tmp_path: Path) -> None:
    broken = server("import sys; sys.exit('no model here')")
    with (
        pytest.raises(ServerError, match=r"(?s)test ended with 1; .*no model here"),
        running(broken, tmp_path / "log"),
    ):
        pass


def test_a_server_that_does_not_get_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "START_TIMEOUT_S", 0.5)
    with (
        pytest.raises(ServerError, match="is not ready after"),
        running(server("import time; time.sleep(600)"), tmp_path / "log"),
    ):
        pass
    assert len(family(os.getpid())) == 1
