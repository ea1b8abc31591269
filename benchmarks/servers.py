"""Server processes: started, timed until they answer, weighed, and always ended, by their own ids."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.answers import ask
from benchmarks.questions import Question

ROOT = Path(__file__).resolve().parent.parent  # servers run in the checkout
START_TIMEOUT_S = 120.0
END_TIMEOUT_S = 20.0
ORPHAN_TIMEOUT_S = 1.0  # for workers, once the process that started them has ended
POLL_S = 0.01


class ServerError(RuntimeError):
    """A server that does not start."""


@dataclass(frozen=True)
class Server:
    """How to start a server. `{port}` in the command and the environment becomes the port."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready_path: str  # GET answers 200 once the server is ready
    question: Question
    is_plain: bool = False  # its pixels are those of the exported graph, not of the one for CPUs


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    ready_s: float  # from the start of the process to the first 200 of its ready path
    first_request_ms: float  # the first image, over a new connection

    def memory(self) -> Memory:
        """Of the process that weighs most: the worker, where there is one."""
        infos = [process.memory_full_info() for process in family(self.process.pid)]
        return max((Memory(info.rss, info.uss) for info in infos), key=lambda memory: memory.uss_bytes)


@dataclass(frozen=True)
class Memory:
    rss_bytes: int
    uss_bytes: int  # what would be free if the process ended


@contextmanager
def running(server: Server, log: Path) -> Iterator[Running]:
    """Starts a server on a free port of 127.0.0.1, waits until it is ready, and ends it in any case.

    Raises ServerError, with the end of the log; WrongAnswer when the first image fails.
    """
    port = free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in server.command],
            cwd=ROOT,
            env={name: value.replace("{port}", str(port)) for name, value in server.environment.items()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then ends its servers
        )
        try:
            _wait_until_ready(server, process, port, log)
            ready_s = time.perf_counter() - began
            began = time.perf_counter()
            ask(port, server.question, 0, 0)
            yield Running(server, port, process, ready_s, (time.perf_counter() - began) * 1000)
        finally:
            end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the service: it is measured with its defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MINTAGE_")}


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_ready(port, server.ready_path):
        if process.poll() is not None:
            raise ServerError(f"{server.name} ended with {process.returncode}; {log}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{server.name} is not ready after {START_TIMEOUT_S:g} s; {log}:\n{_tail(log)}")
        time.sleep(POLL_S)


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants that are alive."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks a server to end; whatever of its processes is still there after a while is killed.

    A second Ctrl-C only makes it come sooner.
    """
    workers = family(process.pid)[1:]
    try:
        process.terminate()
        process.wait(END_TIMEOUT_S)
        psutil.wait_procs(workers, timeout=ORPHAN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        process.kill()
        process.wait()
        psutil.wait_procs(workers, timeout=ORPHAN_TIMEOUT_S)
