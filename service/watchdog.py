"""Ends what cannot go on: a worker whose engine hangs, a server whose workers cannot start."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.board import Board

EVERY_S = 0.25
HUNG = 70  # exit status of a worker with a hung engine,
LOST = 71  # and of one whose GPU is lost
LAST_REPLIES_S = 0.5  # for what is on its way to clients when a worker ends

logger = logging.getLogger("mintage")


_began: dict[object, float] = {}  # seconds, monotonic, of every engine call that runs now


@contextmanager
def engine_call() -> Iterator[None]:
    """Around each call of an engine, in service, in warm-up, on any thread."""
    call = object()
    _began[call] = time.monotonic()
    try:
        yield
    finally:
        del _began[call]


def end_when_an_engine_hangs(timeout_s: float, at_last: Callable[[], None]) -> None:
    """Ends this worker, after `at_last`, when an engine call takes longer than `timeout_s`.

    It is replaced by a new one. A thread, since the event loop may be what hangs. Nothing else gets a call
    of native code to end.
    """

    def watch() -> None:
        while True:
            time.sleep(EVERY_S)
            if any(time.monotonic() - began > timeout_s for began in list(_began.values())):
                logger.critical("an engine call hangs for %g s; this worker ends", timeout_s)
                at_last()
                os._exit(HUNG)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def end_soon(reason: str) -> None:
    """Ends this worker, which is replaced by a new one, once it has told its clients.

    Not in order: what a lost GPU leaves behind may hang when it is given back.
    """
    logger.critical("%s", reason)
    timer = threading.Timer(LAST_REPLIES_S, os._exit, (LOST,))
    timer.daemon = True
    timer.start()


def end_when_a_worker_cannot_start(board: Board) -> None:
    """Ends the whole server, with exit status 1, when a worker fails before all were ready once.

    Without it BentoML starts the worker again and again.
    """

    def watch() -> None:
        while True:
            time.sleep(EVERY_S)
            statuses = board.statuses()
            if any(status.failed for status in statuses):
                atexit.register(_fail)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if all(status.ready for status in statuses):
                return

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def _fail() -> None:
    Board.remove()  # the exit handlers before this one are not reached
    sys.stdout.flush()
    os._exit(1)
