"""A load client that waits for the processor its server computes on measures its own waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NICENESS = -10


@contextmanager
def prompt() -> Iterator[str]:
    """This process comes before ordinary ones, as far as it may; the name of what it got.

    Real-time scheduling, for root and who has CAP_SYS_NICE, sends within a fraction of a millisecond even
    where all cores are busy; a priority alone waits for the end of another's turn.
    """
    if _is_real_time():
        try:
            yield "real-time"
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except PermissionError:
        yield "ordinary"
        return
    try:
        yield f"niceness {NICENESS}"
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def _is_real_time() -> bool:
    """Asks for real-time scheduling; False on another system, or where it is not allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, PermissionError):
        return False
    return True
