"""When a run has converged: its evaluations bring nothing any more.

Losses cannot tell: in a game they do not go down while images get better. So the rule is early stopping
(Prechelt 1998, "Early stopping - but when?") on the Fréchet distance that the best checkpoint is kept by.
"""

from __future__ import annotations

from collections.abc import Mapping

PATIENCE = 5  # evaluations
GAIN = 0.01  # share by which one of them must be better than the best before them


def converged(scores: Mapping[float, float]) -> bool:
    """Of kimg -> score, lower being better: whether the last `PATIENCE` of them brought no `GAIN`."""
    in_order = [scores[kimg] for kimg in sorted(scores)]
    before, recent = in_order[:-PATIENCE], in_order[-PATIENCE:]
    return bool(before) and min(recent) > min(before) * (1 - GAIN)
