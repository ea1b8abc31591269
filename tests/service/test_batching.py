"""Laws of the micro-batcher, with an engine that can be held and watched."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from generator.pixels import Pixels
from service import batching
from service.batching import Made, MicroBatcher
from service.errors import Expired, Overloaded, Unready
from service.work import WorkItem

NO_CLASS = np.zeros(2, np.float32)


def item(*seeds: int) -> WorkItem:
    return WorkItem(NO_CLASS, seeds)


class HeldEngine:
    """An engine whose images tell their seed, and which works only while it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.broken: Exception | None = None
        self.broken_by = -1  # the seed that it fails on

    def run(self, items: Sequence[WorkItem]) -> list[Pixels]:
        self.batches.append([seed for work in items for seed in work.seeds])
        self.began.release()
        assert self.gate.wait(10)
        if self.broken:
            raise self.broken
        if self.broken_by in self.batches[-1]:
            raise RuntimeError(f"{self.broken_by} is too much")
        return [np.array(work.seeds, np.uint8).reshape(-1, 1, 1, 1) for work in items]


def in_loop(
    scenario: Callable[[MicroBatcher, HeldEngine], Awaitable[None]], max_batch: int = 8, max_queue: int = 1000
) -> HeldEngine:
    engine = HeldEngine()

    async def run() -> None:
        batcher = MicroBatcher(engine.run, max_batch, max_queue)
        try:
            await asyncio.wait_for(scenario(batcher, engine), 20)
        finally:
            engine.gate.set()
            await batcher.close()

    asyncio.run(run())
    return engine


async def held(batcher: MicroBatcher, engine: HeldEngine) -> asyncio.Task[Made]:
    """Fills the engine with one item, so that what follows has to queue."""
    engine.gate.clear()
    first = asyncio.create_task(batcher.submit(item(255), 10))
    await asyncio.to_thread(engine.began.acquire)
    return first


def seeds(made: Made) -> list[int]:
    return made.images.ravel().tolist()


@settings(max_examples=25, deadline=None)
@given(
    counts=some.lists(some.integers(1, 30), min_size=1, max_size=30),
    seed=some.integers(0, 2**32),
    calls_at_once=some.integers(2, 3),
)
def test_calls_side_by_side_that_end_in_any_order_give_each_request_its_own_images(
    counts: list[int], seed: int, calls_at_once: int
) -> None:
    under_way: list[int] = []
    most, random = 0, Random(seed)

    def run_call(items: Sequence[WorkItem]) -> list[Pixels]:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        time.sleep(random.choice((0, 0.0005, 0.002)))
        under_way.pop()
        return [np.array(work.seeds, np.uint8).reshape(-1, 1, 1, 1) for work in items]

    async def run() -> None:
        batcher = MicroBatcher(run_call, 8, 10_000, short_call_s=1, calls_at_once=calls_at_once)
        wanted = [[(first + n) % 256 for n in range(count)] for first, count in enumerate(counts)]
        made = await asyncio.gather(*(batcher.submit(item(*one), 10) for one in wanted))
        assert [seeds(one) for one in made] == wanted
        await batcher.close()
        assert batcher.queued == 0

    asyncio.run(run())
    assert most <= calls_at_once
    assert not under_way


def test_the_next_batch_is_taken_before_the_images_of_the_one_before_are_delivered() -> None:
    """And no more calls are under way than the engine takes."""
    engine = HeldEngine()
    order: list[tuple[int, int]] = []  # the seed, and how many waited when it was told

    async def run() -> None:
        batcher = MicroBatcher(engine.run, 2, 100, calls_at_once=2)

        def tell_of(seed: int) -> Callable[[Made | Exception], None]:
            return lambda outcome: order.append((seed, batcher.queued))

        engine.gate.clear()
        for n in range(6):
            batcher.enter(item(n), 10, tell_of(n))
            if n < 2:
                await asyncio.to_thread(engine.began.acquire)
        await asyncio.sleep(0.02)
        assert engine.batches == [[0], [1]]
        assert batcher.queued == 4
        engine.gate.set()
        await batcher.close()

    asyncio.run(run())
    assert sorted(engine.batches) == [[0], [1], [2, 3], [4, 5]]
    assert sorted(seed for seed, _ in order) == list(range(6))
    assert order[0][1] == 2


def test_a_lone_request_is_computed_at_once() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        made = await batcher.submit(item(3), 10)
        assert seeds(made) == [3]
        assert made.batch == 1

    assert in_loop(scenario).batches == [[3]]


def test_requests_that_come_while_the_engine_is_busy_become_one_batch() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n), 10)) for n in range(6)]
        await asyncio.sleep(0.01)
        assert batcher.queued == 6
        engine.gate.set()
        results = await asyncio.gather(first, *waiting)
        assert [seeds(made) for made in results] == [[255], [0], [1], [2], [3], [4], [5]]
        assert [made.batch for made in results] == [1] + [6] * 6
        assert batcher.queued == 0

    assert in_loop(scenario).batches == [[255], [0, 1, 2, 3, 4, 5]]


def test_while_a_whole_batch_waits_the_event_loop_rests_until_the_engine_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "REST_S", 30)

    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n), 10)) for n in range(9)]
        threading.Timer(0.05, engine.gate.set).start()
        turns = 0
        while not first.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns < 20  # and thousands of a loop that does not rest
        assert [seeds(made) for made in await asyncio.gather(*waiting)] == [[n] for n in range(9)]

    in_loop(scenario)


def test_the_event_loop_rests_no_longer_than_others_can_wait() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n), 10)) for n in range(9)]
        await asyncio.sleep(0.1)
        assert not first.done()  # the loop turns although the engine has not ended
        engine.gate.set()
        await asyncio.gather(first, *waiting)

    in_loop(scenario)


def test_a_batch_counts_images_not_requests() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n, n + 1, n + 2), 10)) for n in (0, 10, 20)]
        await asyncio.sleep(0.01)
        engine.gate.set()
        await asyncio.gather(first, *waiting)

    assert [len(batch) for batch in in_loop(scenario, max_batch=4).batches] == [1, 4, 4, 1]


def test_a_large_request_is_split_and_put_together_again() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        made = await batcher.submit(item(*range(30)), 10)
        assert seeds(made) == list(range(30))
        assert made.batch == 8

    assert [len(batch) for batch in in_loop(scenario).batches] == [8, 8, 8, 6]


def test_small_requests_do_not_wait_behind_large_ones_nor_large_behind_small() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        large = asyncio.create_task(batcher.submit(item(*range(100, 140)), 10))
        await asyncio.sleep(0.01)
        small = [asyncio.create_task(batcher.submit(item(n), 10)) for n in range(12)]
        await asyncio.sleep(0.01)
        engine.gate.set()
        await asyncio.gather(first, large, *small)

    batches = in_loop(scenario).batches[1:]
    assert [sum(seed < 100 for seed in batch) for batch in batches[:3]] == [4, 4, 4]
    assert all(len(batch) == 8 for batch in batches[:-1])


def test_a_cancelled_request_is_never_computed_and_leaves_its_neighbours_alone() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n), 10)) for n in range(4)]
        await asyncio.sleep(0.01)
        waiting[1].cancel()
        await asyncio.sleep(0.01)
        assert batcher.queued == 3
        engine.gate.set()
        results = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert isinstance(results[2], asyncio.CancelledError)
        assert [seeds(r) for r in results if isinstance(r, Made)] == [[255], [0], [2], [3]]

    assert in_loop(scenario).batches == [[255], [0, 2, 3]]


def test_the_rest_of_a_cancelled_large_request_is_dropped() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        engine.gate.clear()
        large = asyncio.create_task(batcher.submit(item(*range(40)), 10))
        await asyncio.to_thread(engine.began.acquire)
        large.cancel()
        await asyncio.sleep(0.01)
        assert batcher.queued == 0
        engine.gate.set()
        assert seeds(await batcher.submit(item(99), 10)) == [99]

    assert in_loop(scenario).batches == [list(range(8)), [99]]


def test_an_expired_request_is_told_in_time_and_never_computed() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        with pytest.raises(Expired, match="timeout_ms 30 was over"):
            await batcher.submit(item(1), 0.03)
        assert batcher.queued == 0
        engine.gate.set()
        await first

    assert in_loop(scenario).batches == [[255]]


def test_a_request_that_comes_while_only_an_abandoned_one_is_computed_expires_in_time() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        abandoned = await held(batcher, engine)
        abandoned.cancel()
        await asyncio.sleep(0.05)
        with pytest.raises(Expired, match="timeout_ms 30 was over"):
            await batcher.submit(item(1), 0.03)
        assert not engine.gate.is_set()

    assert in_loop(scenario).batches == [[255]]


def test_who_cannot_be_told_does_no_harm_to_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        def fail(outcome: Made | Exception) -> None:
            raise RuntimeError("this one is deaf")

        first = await held(batcher, engine)
        batcher.enter(item(1), 10, fail)
        neighbour = asyncio.create_task(batcher.submit(item(2), 10))
        await asyncio.sleep(0.01)
        engine.gate.set()
        assert seeds(await first) == [255]
        assert seeds(await neighbour) == [2]
        assert seeds(await batcher.submit(item(3), 10)) == [3]
        assert "this one is deaf" in caplog.text

    assert in_loop(scenario).batches == [[255], [1, 2], [3]]


def test_beyond_the_bound_requests_are_refused_with_a_time_to_come_again() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        waiting = [asyncio.create_task(batcher.submit(item(n, n), 10)) for n in range(5)]
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded, match="10 images wait already") as caught:
            await batcher.submit(item(1), 10)
        assert int(caught.value.headers["retry-after"]) >= 1
        engine.gate.set()
        assert len(await asyncio.gather(first, *waiting)) == 6
        assert seeds(await batcher.submit(item(7), 10)) == [7]

    in_loop(scenario, max_queue=10)


def test_a_request_larger_than_the_bound_is_taken_when_nothing_waits() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        assert len(seeds(await batcher.submit(item(*range(50)), 10))) == 50

    in_loop(scenario, max_queue=10)


def test_a_failing_engine_fails_its_batch_and_goes_on_with_the_next() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        engine.broken = RuntimeError("out of order")
        both = [batcher.submit(item(1), 10), batcher.submit(item(*range(40)), 10)]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert [str(result) for result in results] == ["out of order"] * 2
        engine.broken = None
        assert seeds(await batcher.submit(item(2), 10)) == [2]
        assert batcher.queued == 0

    in_loop(scenario)


@pytest.mark.parametrize("short_call_s", [0, 60])
def test_a_request_that_the_engine_fails_on_leaves_its_batch_mates_alone(short_call_s: float) -> None:
    async def scenario() -> None:
        batcher = MicroBatcher(engine.run, 8, 1000, images_per_s=1000, short_call_s=short_call_s)
        results = await asyncio.gather(
            *(batcher.submit(item(*work), 10) for work in ([1], [7], [2, 3])), return_exceptions=True
        )
        assert [seeds(made) for made in results if isinstance(made, Made)] == [[1], [2, 3]]
        assert str(results[1]) == "7 is too much"
        large = [batcher.submit(item(*range(start, start + 20)), 10) for start in (0, 20)]
        failed, made = await asyncio.gather(*large, return_exceptions=True)
        assert str(failed) == "7 is too much"
        assert isinstance(made, Made)
        assert seeds(made) == list(range(20, 40))
        assert batcher.queued == 0
        await batcher.close()

    engine = HeldEngine()
    engine.broken_by = 7
    asyncio.run(scenario())
    assert engine.batches[:4] == [[1, 7, 2, 3], [1], [7], [2, 3]]


@pytest.mark.parametrize("short_call_s", [0, 60])
def test_an_engine_that_loses_images_fails_its_batch_and_goes_on_with_the_next(short_call_s: float) -> None:
    async def scenario() -> None:
        batcher = MicroBatcher(lose_seven, 8, 1000, images_per_s=1000, short_call_s=short_call_s)
        both = [batcher.submit(item(1), 10), batcher.submit(item(7), 10)]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(results[1], ValueError)
        assert seeds(await batcher.submit(item(2), 10)) == [2]
        await batcher.close()

    def lose_seven(items: Sequence[WorkItem]) -> list[Pixels]:
        return [images for images in HeldEngine().run(items) if images.max() != 7]

    asyncio.run(scenario())


def test_closing_finishes_accepted_work_and_refuses_new() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        first = await held(batcher, engine)
        queued = asyncio.create_task(batcher.submit(item(1), 10))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.01)
        with pytest.raises(Unready):
            await batcher.submit(item(2), 10)
        engine.gate.set()
        await closing
        assert [seeds(made) for made in await asyncio.gather(first, queued)] == [[255], [1]]

    in_loop(scenario)


def test_any_mixture_of_sizes_comes_back_whole_and_in_order() -> None:
    async def scenario(batcher: MicroBatcher, engine: HeldEngine) -> None:
        rng = np.random.default_rng(0)
        wanted = [rng.integers(0, 256, rng.integers(1, 30)).tolist() for _ in range(200)]

        async def one(work: list[int]) -> Made:
            await asyncio.sleep(float(rng.uniform(0, 0.05)))
            return await batcher.submit(item(*work), 10)

        results = await asyncio.gather(*(one(work) for work in wanted))
        assert [seeds(made) for made in results] == wanted

    assert max(len(batch) for batch in in_loop(scenario, max_queue=10_000).batches) == 8
