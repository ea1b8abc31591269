"""The slots of an engine: who uses which, and what becomes of a bucket that there is no memory for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from generator.engines import DeviceLost, EngineError
from generator.engines.cuda import OutOfMemory
from generator.engines.slots import Floats, Slot
from generator.pixels import Pixels


class SlotPool:
    """Sends batches of any size through slots; safe to call from several threads."""

    def __init__(self, splits: bool = True) -> None:
        """`splits`: whether a batch that there is no memory for may go in smaller buckets."""
        self._splits = splits
        self._changed = threading.Condition()
        self._free: dict[int, list[Slot]] = {}  # by bucket: those that nobody uses
        self._lost: DeviceLost | None = None

    @property
    def buckets(self) -> list[int]:
        """The sizes of batches that can be computed, ascending."""
        return sorted(self._free)

    @property
    def has_graphs(self) -> bool:
        """Whether every slot that is free replays a graph."""
        return all(slot.has_graph for slots in self._free.values() for slot in slots)

    def add(self, bucket: int, slots: Sequence[Slot]) -> None:
        self._free[bucket] = list(slots)

    def close(self) -> None:
        """Gives all slots back, none of which may be in use."""
        for slots in self._free.values():
            for slot in slots:
                slot.close()
        self._free.clear()

    def run(self, latent: Floats, class_vector: Floats, images: Pixels) -> None:
        """Computes latent [N, latent_dim] and class_vector [N, num_classes] into images, uint8 [N, H, W, C].

        As many parts are on their way at a time as there are slots. Raises EngineError.
        """
        to_do = deque([slice(0, len(latent))] if len(latent) else [])
        on_the_way: deque[tuple[Slot, slice]] = deque()
        try:
            while to_do or on_the_way:
                # Nobody waits for a slot while holding one: two calls would wait for each other.
                fresh = self._take(to_do[0], wait=not on_the_way) if to_do else None
                if fresh is not None:
                    on_the_way.append((fresh, _cut(to_do, fresh.bucket)))
                slot, rows = on_the_way[0 if fresh is None else -1]
                try:
                    if fresh is not None:
                        slot.launch(latent[rows], class_vector[rows])
                        continue
                    slot.collect(images[rows])
                except OutOfMemory as error:
                    self._give_up(slot.bucket, error)
                    to_do.appendleft(rows)
                on_the_way.remove((slot, rows))
                self._put_back(slot)
        except DeviceLost as error:
            self._tell_lost(error)
            raise
        finally:
            for slot, _ in on_the_way:
                self._put_back(slot)

    def _bucket_for(self, count: int) -> int:
        """The smallest that holds so many images, or the largest."""
        return min((bucket for bucket in self._free if bucket >= count), default=max(self._free))

    def _take(self, rows: slice, wait: bool) -> Slot | None:
        """A free slot for some rows of a batch; None where there is none and nobody is to wait."""
        with self._changed:
            while True:
                if self._lost:
                    raise DeviceLost(str(self._lost))
                if slots := self._free[self._bucket_for(rows.stop - rows.start)]:
                    return slots.pop()
                if not wait:
                    return None
                self._changed.wait()

    def _put_back(self, slot: Slot) -> None:
        """Frees a slot once nothing of it is on its way."""
        try:
            slot.settle()
        except EngineError as error:  # nobody knows what is still written to its memory
            self._tell_lost(DeviceLost(str(error)))
            return
        with self._changed:
            if slot.bucket in self._free:
                self._free[slot.bucket].append(slot)
            else:
                slot.close()
            self._changed.notify_all()

    def _give_up(self, bucket: int, error: OutOfMemory) -> None:
        """Goes on with batches of half the size. Raises EngineError where there are none."""
        with self._changed:
            if bucket in self._free and (not self._splits or bucket == min(self._free)):
                advice = "something else uses it" if self._splits else "choose a smaller fixed batch"
                raise EngineError(f"{error}, for a batch of {bucket} images: {advice}")
            for slot in self._free.pop(bucket, []):
                slot.close()
            self._changed.notify_all()

    def _tell_lost(self, error: DeviceLost) -> None:
        """Every other call fails with the same error from now on."""
        with self._changed:
            self._lost = error
            self._changed.notify_all()


def _cut(to_do: deque[slice], bucket: int) -> slice:
    """Takes the next rows, at most a bucket of them, off what is to do."""
    rows = to_do.popleft()
    end = min(rows.stop, rows.start + bucket)
    if end < rows.stop:
        to_do.appendleft(slice(end, rows.stop))
    return slice(rows.start, end)
