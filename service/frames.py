"""The frames of a way through latent space, made piece by piece, so that a long way starves nobody."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from generator.paths import LatentPath
from service.batching import Made
from service.errors import Expired
from service.keys import charge
from service.models import ServedModel
from service.work import WorkItem

MAX_VALUES = 4_000_000  # of a piece, enlarged: frames that large are made one by one


async def pieces(
    model: ServedModel, path: LatentPath, scale: int, timeout_s: float, of_each: bool
) -> AsyncGenerator[tuple[WorkItem, Made]]:
    """The frames in order, no piece larger than a batch, and none before the one before was taken.

    They are charged at once. `timeout_s` is how long all of them may take, or, with `of_each`, each piece.
    A queue that is full refuses the first piece; a way that has begun waits for its turn. Raises what
    ServedModel.make raises.
    """
    charge(path.frames)
    side = model.spec.image_size * scale
    size = max(1, min(model.max_batch, MAX_VALUES // (side * side * model.spec.channels)))
    expires = time.monotonic() + timeout_s
    with model.in_use():
        for start in range(0, path.frames, size):
            latent, class_vector = path.part(start, start + size)
            if of_each:
                expires = time.monotonic() + timeout_s
            item = WorkItem(class_vector, latent=latent)
            try:
                made = await model.make_charged(item, max(0.0, expires - time.monotonic()), patient=start > 0)
            except Expired:  # which tells only what was left for this piece
                raise Expired(
                    f"timeout_ms {timeout_s * 1000:.0f} was over before frame {start} was made: allow more "
                    "time, or ask for fewer frames"
                ) from None
            yield item, made
