"""What the service counts and times, for Prometheus.

Every series is known before the first request: labels are bounded, so that no client can make the server
remember more. Each has a fixed column of the workers' shared table; adding to one is adding to a number.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.board import Board

STATUSES = (
    "101", "200", "204", "304", "400", "401", "403", "404", "405", "406", "408", "410", "413", "415", "422",
    "426", "429", "499", "500", "503", "504", "other",
)  # fmt: skip
GONE_CLIENT = 499  # no status of HTTP: the client hung up before its reply
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
OTHER = "other"  # the label of every path that is no route
DROPPED = ("cancelled", "expired")


class Counter:
    """Sums, one for each combination of labels; or a gauge, which may fall."""

    family: type[CounterMetricFamily | GaugeMetricFamily] = CounterMetricFamily

    def __init__(self, name: str, text: str, labels: dict[str, Sequence[str]], start: int) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.places = {key: start + place for place, key in enumerate(product(*labels.values()))}
        self.columns = len(self.places)

    def collect(self, numbers: npt.NDArray[np.float64]) -> Metric:
        family = self.family(self.name, self.text, labels=list(self.labels))
        for key, place in self.places.items():
            if numbers[place] or self.family is GaugeMetricFamily:
                family.add_metric(key, numbers[place])
        return family


class Gauge(Counter):
    family = GaugeMetricFamily


class Histogram:
    """Counts by upper bound, and their sum; one for each label."""

    def __init__(
        self,
        name: str,
        text: str,
        bounds: Sequence[float],
        start: int,
        label: str = "",
        of: Sequence[str] = ("",),
    ) -> None:
        self.name, self.text, self.bounds, self.label = name, text, bounds, label
        self._width = len(bounds) + 2  # one above the last bound, and the sum
        self.places = {value: start + place * self._width for place, value in enumerate(of)}
        self.columns = self._width * len(self.places)

    def add(self, row: memoryview[float], place: int, value: float) -> None:
        """Counts `value` in the worker's `row`, for the label at `place`."""
        row[place + bisect_left(self.bounds, value)] += 1
        row[place + self._width - 1] += value

    def collect(self, numbers: npt.NDArray[np.float64]) -> Metric:
        family = HistogramMetricFamily(self.name, self.text, labels=[self.label] if self.label else [])
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        for value, place in self.places.items():
            counts = numbers[place : place + self._width - 1].cumsum()
            if counts[-1] or not self.label:
                buckets = list(zip(names, counts.tolist(), strict=True))
                labels = [value] if self.label else []
                family.add_metric(labels, buckets, float(numbers[place + self._width - 1]))
        return family


Series = TypeVar("Series", Counter, Histogram)


class Metrics(Collector):
    """All series. Methods that count are called by the worker for its own row."""

    def __init__(self, routes: Sequence[str], models: Sequence[str]) -> None:
        self.columns, self.models = 0, tuple(models)
        self._counting = threading.Lock()  # engine calls are counted on their own threads
        self._all: list[Counter | Histogram] = []
        routes = [*routes, OTHER]
        self._requests = self._counter(
            "mintage_requests", "Replies by route and status.", {"route": routes, "status": STATUSES}
        )
        self._latency = self._histogram(
            "mintage_request_seconds",
            "From the head of a request to the end of its reply.",
            SECONDS,
            "route",
            routes,
        )
        self._queue = self._histogram("mintage_queue_seconds", "Waiting for the first engine call.", SECONDS)
        self._engine = self._histogram("mintage_engine_seconds", "First to last engine call.", SECONDS)
        self._encode = self._histogram("mintage_encode_seconds", "Pixels to bytes.", SECONDS)
        self._batch = self._histogram("mintage_batch_images", "Images of an engine call.", BATCHES)
        by_model = {"model": models}
        self._images = self._counter("mintage_images", "Images made.", by_model)
        self._refused = self._counter("mintage_refused", "Requests refused, the queue being full.", by_model)
        self._dropped = self._counter(
            "mintage_dropped", "Requests whose work was given up.", {**by_model, "reason": DROPPED}
        )
        self._queued = self._counter("mintage_queued_images", "Images that wait now.", by_model, Gauge)
        self._streams = self._counter("mintage_streams", "Streams that are open now.", {}, Gauge)
        self._frames = self._counter("mintage_stream_frames", "Frames sent.", {})
        self._superseded = self._counter(
            "mintage_stream_superseded", "Frames asked for and given up for newer ones.", {}
        )
        self._board: Board = Board.alone(models, self.columns)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def join(self, board: Board) -> None:
        """Counts in a table shared with other workers, where the one that this one replaces ended."""
        self._board = board
        for model in self.models:  # whatever waited there is gone
            self.queued(model, 0)
        self.streams(0)

    def request(self, route: str, status: int, seconds: float) -> None:
        """One reply; `route` as the path's pattern, anything else counts as "other"."""
        row, requests, seen = self._board.counts, self._requests.places, self._latency.places
        if route not in seen:
            route = OTHER
        place = requests.get((route, str(status)))
        row[requests[route, OTHER] if place is None else place] += 1
        self._latency.add(row, seen[route], seconds)

    def stream(self, route: str, status: int) -> None:
        """One handshake of a WebSocket. How long the stream lasted is not a latency."""
        places = self._requests.places
        place = places.get((route or OTHER, str(status)), places[OTHER, OTHER])
        self._board.counts[place] += 1

    def made(self, model: str, images: int, queue_s: float, engine_s: float) -> None:
        row = self._board.counts
        row[self._images.places[model,]] += images
        self._queue.add(row, self._queue.places[""], queue_s)
        self._engine.add(row, self._engine.places[""], engine_s)

    def encoded(self, seconds: float) -> None:
        self._encode.add(self._board.counts, self._encode.places[""], seconds)

    def batch(self, images: int) -> None:
        """One engine call."""
        with self._counting:
            self._batch.add(self._board.counts, self._batch.places[""], images)

    def refused(self, model: str) -> None:
        self._board.counts[self._refused.places[model,]] += 1

    def dropped(self, model: str, reason: str) -> None:
        self._board.counts[self._dropped.places[model, reason]] += 1

    def queued(self, model: str, images: int) -> None:
        self._board.counts[self._queued.places[model,]] = images

    def streams(self, count: int) -> None:
        """How many are open."""
        self._board.counts[self._streams.places[()]] = count

    def frame(self, superseded: int) -> None:
        """One frame sent, and how many were given up since the one before."""
        row = self._board.counts
        row[self._frames.places[()]] += 1
        row[self._superseded.places[()]] += superseded

    def exposition(self) -> bytes:
        """All workers' numbers together, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        numbers = self._board.numbers()
        yield from (metric.collect(numbers) for metric in self._all)
        statuses = self._board.statuses()
        for name, text, count in (
            ("mintage_workers", "Workers there should be.", len(statuses)),
            ("mintage_workers_ready", "Workers that answer.", sum(status.ready for status in statuses)),
        ):
            yield GaugeMetricFamily(name, text, value=count)

    def _counter(
        self, name: str, text: str, labels: dict[str, Sequence[str]], kind: type[Counter] = Counter
    ) -> Counter:
        return self._add(kind(name, text, labels, self.columns))

    def _histogram(
        self, name: str, text: str, bounds: Sequence[float], label: str = "", of: Iterable[str] = ("",)
    ) -> Histogram:
        return self._add(Histogram(name, text, bounds, self.columns, label, tuple(of)))

    def _add(self, metric: Series) -> Series:
        self._all.append(metric)
        self.columns += metric.columns
        return metric
