"""MicroBatcher: many requests, one engine call.

A batch forms while the engine is busy, never by waiting while it is idle: a lone request is computed at
once, and what arrives meanwhile is the next batch. Batches and limits are counted in images, not requests.

An engine call that fails is made again for each of its items alone, so that only those fail which do so by
themselves.

A call that is expected to be short runs on the event loop itself: handing it to another thread and
fighting with it over the interpreter costs more than it saves. Longer ones run on the engine's thread.

While more waits than the next call can take, the event loop rests until the engine is done: what comes
meanwhile could not be computed sooner, and reading it all at once leaves the engine more of the processor.

An engine on a GPU gets its next call while the pixels of the one before are copied and encoded: it takes
several calls at once, each on a thread of its own, and the event loop never rests for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import numpy as np
from msgspec import Struct

from generator.pixels import Pixels
from service.errors import Expired, Overloaded, Unready
from service.work import WorkItem

logger = logging.getLogger("mintage")

SWEEP_S = 0.01  # how often what waits is looked through for what has expired
REST_S = 0.02  # of the event loop at a time, at most


class Made(Struct, frozen=True, eq=False):
    """What came of a work item, and where its time went."""

    images: Pixels  # uint8 [count, H, W, C]
    queue_ms: float  # from submission to the first engine call
    engine_ms: float  # from the first engine call to the end of the last
    batch: int  # images in the largest engine call it was part of


Tell = Callable[[Made | Exception], None]


class Job(Struct, eq=False):
    """A work item on its way."""

    item: WorkItem
    count: int  # images
    tell: Tell  # called once with what came of the item, unless somebody `leave`s first
    submitted: float  # seconds, monotonic, as are `expires` and `started`
    expires: float
    started: float = 0.0
    taken: int = 0  # images already put into batches
    batch: int = 0
    made: int = 0  # images
    parts: dict[int, Pixels] = {}  # by the number of their first image
    done: bool = False


_Batch = list[tuple[Job, WorkItem, int]]  # the number of the item's first image within its job
_Outcome = Pixels | Exception
_Computed = tuple[Sequence[_Outcome], float, float]  # of each item; begun, ready: seconds, monotonic


class MicroBatcher:
    """One queue and one engine. All methods belong to one event loop."""

    def __init__(
        self,
        run: Callable[[Sequence[WorkItem]], Sequence[Pixels]],
        max_batch: int,
        max_queue: int,
        images_per_s: float = 0,
        short_call_s: float = 0,
        calls_at_once: int = 1,
    ) -> None:
        """`run` makes the images of several items in one engine call.

        `max_batch` (at least 2) and `max_queue` are counted in images. `images_per_s` is the engine's rate
        where it is known already (0: measured from the first call on). Calls expected to take at most
        `short_call_s` run on the event loop; 0 means none does. `run` is called from `calls_at_once` threads
        at a time; where that is more than one, never from the event loop.
        """
        self._run = run
        self._max_batch, self._max_queue = max_batch, max_queue
        self._images_per_s = images_per_s
        self._short_call_s = short_call_s if calls_at_once == 1 else 0
        self._calls_at_once = calls_at_once
        self._calls = 0  # under way, or about to be
        # Small items go before large ones, but half of each batch is kept for those that wait on the
        # other side: neither can starve the other.
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._small_size = max(1, max_batch // 8)
        self._queued = 0  # images
        self._jobs: set[Job] = set()  # that are not done
        self._sweeper: asyncio.TimerHandle | None = None
        self._call: Future[_Computed] | None = None  # of the engine's thread, where it has but one
        self._resting = False  # or about to
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._threads = ThreadPoolExecutor(calls_at_once, thread_name_prefix="engine")

    @property
    def queued(self) -> int:
        """Images that wait."""
        return self._queued

    @property
    def threads(self) -> Executor:
        """The engine's: whoever has something else to compute, computes it there between two batches."""
        return self._threads

    async def submit(self, item: WorkItem, timeout_s: float) -> Made:
        """The images of an item, which leaves the queue at once when the caller is cancelled.

        Raises what `enter` raises, and what it tells.
        """
        future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()

        def tell(outcome: Made | Exception) -> None:
            if future.done():  # cancelled a moment ago
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        job = self.enter(item, timeout_s, tell)
        try:
            return await future
        finally:
            self.leave(job)

    def enter(self, item: WorkItem, timeout_s: float, tell: Tell) -> Job:
        """Puts an item into the queue; `tell` is called once with what comes of it.

        That is Expired when `timeout_s` is over before the last image is computed, or what the engine raises.
        Raises Overloaded when the queue is full, Unready after `close`.
        """
        if self._closed:
            raise Unready("the server is shutting down: send the request again")
        count = item.count
        if self._is_crowded() and not self._resting:
            self._resting = True
            asyncio.get_running_loop().call_soon(self._rest)
        if self._queued and self._is_too_much(count, timeout_s):
            raise self._overloaded(count)
        now = time.monotonic()
        job = Job(item, count, tell, now, now + timeout_s)
        (self._small if count <= self._small_size else self._large).append(job)
        self._queued += count
        self._jobs.add(job)
        loop = asyncio.get_running_loop()
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop)
        if self._calls < self._calls_at_once:
            self._start(loop)
        return job

    def leave(self, job: Job) -> None:
        """Forgets a job; what of it is not computed yet never will be, and nobody is told."""
        if not job.done:
            job.done = True
            self._jobs.discard(job)
            self._queued -= job.count - job.taken
            job.taken = job.count

    def _tell(self, job: Job, outcome: Made | Exception) -> None:
        if not job.done:
            self.leave(job)
            try:
                job.tell(outcome)
            except Exception:
                logger.exception("a request could not be told what came of it")

    def _is_crowded(self) -> bool:
        """Whether the engine's thread is busy, and will be for another whole batch."""
        return self._call is not None and self._queued >= self._max_batch

    def _rest(self) -> None:
        """Behind everything that this turn of the event loop has read."""
        if self._call is not None:
            wait_for([self._call], REST_S)
        self._resting = False

    def _is_too_much(self, count: int, timeout_s: float) -> bool:
        """Whether a request would not fit into the queue, or could not be begun before its time is over."""
        waits_s = self._queued / self._images_per_s if self._images_per_s else 0
        return self._queued + count > self._max_queue or waits_s > timeout_s

    def _overloaded(self, count: int) -> Overloaded:
        """Says when `count` more images would fit, at the measured rate."""
        excess = max(self._queued + count - self._max_queue, self._queued // 2)
        wait_s = excess / self._images_per_s if self._images_per_s else 1
        return Overloaded(
            f"{self._queued} images wait already (at most {self._max_queue}, and no longer than a request "
            "allows)",
            wait_s,
        )

    async def close(self) -> None:
        """Takes no more work, finishes what was accepted, and ends the engine's threads."""
        self._closed = True
        await self._idle.wait()
        self._threads.shutdown()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sends the next batch to the engine, which can take one more."""
        self._calls += 1
        self._idle.clear()
        # Requests that were read in this turn of the event loop join the batch.
        loop.call_soon(self._next, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells those whose time is over; one timer for all jobs is cheaper than one for each."""
        now = time.monotonic()
        for job in [job for job in self._jobs if job.expires <= now]:
            self._tell(job, _expired(job))
        self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop) if self._jobs else None

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, count = self._take()
        if not batch:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
            return
        items = [item for _, item, _ in batch]
        if self._images_per_s and count <= self._images_per_s * self._short_call_s:
            self._finish(batch, self._compute(items))
            # Behind the replies to this batch, which are sent first.
            loop.call_soon(self._next, loop)
        else:
            future = self._threads.submit(self._compute, items)
            if self._calls_at_once == 1:
                self._call = future
            call = asyncio.wrap_future(future, loop=loop)
            call.add_done_callback(lambda done: self._called(loop, batch, done))

    def _called(
        self, loop: asyncio.AbstractEventLoop, batch: _Batch, done: asyncio.Future[_Computed]
    ) -> None:
        if self._calls_at_once > 1:
            self._next(loop)  # first: it computes while these are delivered
            self._finish(batch, done.result())
        else:
            self._call = None
            self._finish(batch, done.result())
            self._next(loop)

    def _take(self) -> tuple[_Batch, int]:
        """The next batch and its images: small items whole and large in parts, in the order they came."""
        batch: _Batch = []
        now = time.monotonic()
        room = self._max_batch
        kept_for_large = room // 2 if self._first(self._large, now) else 0
        while (job := self._first(self._small, now)) and job.count <= room - kept_for_large:
            room -= self._add(batch, self._small, job.count, now)
        while room and (job := self._first(self._large, now)):
            room -= self._add(batch, self._large, min(room, job.count - job.taken), now)
        while (job := self._first(self._small, now)) and job.count <= room:  # what large items left over
            room -= self._add(batch, self._small, job.count, now)
        count = self._max_batch - room
        for job, _, _ in batch:
            job.batch = max(job.batch, count)
        return batch, count

    def _first(self, queue: deque[Job], now: float) -> Job | None:
        """The first job that somebody still waits for; cancelled and expired ones before it are dropped."""
        while queue:
            job = queue[0]
            if not job.done:
                if job.expires > now:
                    return job
                self._tell(job, _expired(job))
            queue.popleft()
        return None

    def _add(self, batch: _Batch, queue: deque[Job], count: int, now: float) -> int:
        """Puts the next `count` images of the first job into the batch."""
        job = queue[0]
        job.started = job.started or now
        item = job.item if count == job.count else job.item.rows(job.taken, job.taken + count)
        batch.append((job, item, job.taken))
        job.taken += count
        self._queued -= count
        if job.taken == job.count:
            queue.popleft()
        return count

    def _compute(self, items: list[WorkItem]) -> _Computed:
        """What becomes of each item, and when it was begun and ready; may run on the engine's thread."""
        began = time.monotonic()
        outcomes: Sequence[_Outcome]
        try:
            outcomes = self._run(items)
        except Exception as error:
            outcomes = [self._alone(item) for item in items] if len(items) > 1 else [error]
        return outcomes, began, time.monotonic()

    def _alone(self, item: WorkItem) -> _Outcome:
        try:
            return self._run([item])[0]
        except Exception as error:
            return error

    def _finish(self, batch: _Batch, computed: _Computed) -> None:
        """Tells the requests what became of them. The next batch is made in any case."""
        try:
            self._deliver(batch, *computed)
        except Exception as error:  # such as no memory to put a large request's images together
            for job, _, _ in batch:
                self._tell(job, error)

    def _deliver(self, batch: _Batch, outcomes: Sequence[_Outcome], began: float, ready: float) -> None:
        made = 0
        for (job, _, first), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._tell(job, outcome)
                continue
            count = len(outcome)
            made += count
            job.made += count
            job.parts[first] = outcome
            if job.made == job.count and not job.done:
                self._tell(job, _whole(job, ready))
        if made:
            rate, before = made / max(ready - began, 1e-6), self._images_per_s
            self._images_per_s = 0.8 * before + 0.2 * rate if before else rate


def _expired(job: Job) -> Expired:
    timeout_ms = (job.expires - job.submitted) * 1000
    return Expired(
        f"timeout_ms {timeout_ms:.0f} was over before all images were computed: allow more time, "
        "or send the request again"
    )


def _whole(job: Job, ready: float) -> Made:
    """All images of a job whose last are computed; calls side by side may end in any order."""
    parts = job.parts
    return Made(
        images=parts[0] if len(parts) == 1 else np.concatenate([parts[first] for first in sorted(parts)]),
        queue_ms=(job.started - job.submitted) * 1000,
        engine_ms=(ready - job.started) * 1000,
        batch=job.batch,
    )
