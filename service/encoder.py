"""A served model's encoder: reads images that requests bring, and sees what they are made of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from generator.encoder import Encoded, Encoder
from generator.pixels import Pixels
from service.errors import Overloaded
from service.watchdog import engine_call

MAX_BATCH = 8  # images of one call

_Waiting = tuple[Pixels, asyncio.Future[Encoded]]


class ServedEncoder:
    """Images that wait together are encoded together, on the engine's thread, between two of its batches.

    Pictures are read on a thread of their own, one after the other, for one may take much memory. All methods
    belong to one event loop.
    """

    def __init__(self, encoder: Encoder, engine_threads: Executor, max_at_once: int) -> None:
        """`max_at_once`: requests under way."""
        self._encoder, self._engine_threads, self._max_at_once = encoder, engine_threads, max_at_once
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._waiting: deque[_Waiting] = deque()
        self._encoding: asyncio.Task[None] | None = None
        self._places_taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the requests under way. Raises Overloaded where there are enough."""
        if self._places_taken >= self._max_at_once:
            raise Overloaded(f"{self._places_taken} images are being inverted already", wait_s=1)
        self._places_taken += 1
        try:
            yield
        finally:
            self._places_taken -= 1

    async def read(self, picture: Callable[[], Pixels]) -> Pixels:
        """What a function makes of an uploaded picture, which takes its turn off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, picture)

    async def encode(self, image: Pixels) -> Encoded:
        """One image, uint8 [H, W, C] -> its latent [latent_dim] and each class's probability [num_classes].

        Raises EngineError.
        """
        future: asyncio.Future[Encoded] = asyncio.get_running_loop().create_future()
        self._waiting.append((image, future))
        if self._encoding is None:
            self._encoding = asyncio.create_task(self._encode_all())
        return await future

    async def _encode_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            try:
                found = await loop.run_in_executor(self._engine_threads, self._encode, batch)
            except Exception as error:
                _settle(batch, [error] * len(batch))
            else:
                _settle(batch, [Encoded(*row) for row in zip(*found, strict=True)])
        self._encoding = None

    def _encode(self, batch: Sequence[_Waiting]) -> Encoded:
        with engine_call():
            return self._encoder.encode(np.stack([image for image, _ in batch]))

    def close(self) -> None:
        """When nothing is under way."""
        self._reading.shutdown()


def _settle(batch: Sequence[_Waiting], outcomes: Sequence[Encoded | Exception]) -> None:
    for (_, future), outcome in zip(batch, outcomes, strict=True):
        if future.done():  # nobody waits for it any more
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
