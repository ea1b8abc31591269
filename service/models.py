"""The generators being served: each with its artifact, its engine, its queue."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from generator.artifact import MANIFEST, Artifact, ArtifactError
from generator.encoder import Encoder
from generator.engines import Chosen, DeviceLost, EngineError, choose_engine
from generator.pixels import Pixels
from service.batching import Made, MicroBatcher
from service.board import Board
from service.encoder import ServedEncoder
from service.errors import Expired, InvalidField, NotFound, Overloaded, Unready
from service.keys import charge
from service.metrics import Metrics
from service.settings import Settings
from service.watchdog import end_soon, engine_call
from service.work import WorkItem, batch_inputs

USUAL_DEFAULT = "fashion"  # answers requests that name no model, where it is served and no other is set
AGAIN_S = 0.02  # between two tries to get into a queue that is full
WARMING_UP = "models are still warming up: ask again in a second"
LOST = "the GPU was lost; this worker ends and is replaced: send the request again"

logger = logging.getLogger("mintage")


class ServedModel:
    """A generator that is warm and takes work items."""

    def __init__(
        self,
        artifact: Artifact,
        chosen: Chosen,
        settings: Settings,
        metrics: Metrics,
        lost: Callable[[DeviceLost], Exception] = lambda error: error,
    ) -> None:
        """`lost` is called when the GPU is gone, and gives what requests are told.

        Raises EngineError when the engine fails on a batch or the encoder is none, ArtifactError for
        directions that are none.
        """
        engine = chosen.engine
        self.artifact, self.spec, self.engine = artifact, artifact.spec, engine
        self.not_taken, self._lost = chosen.not_taken, lost
        self.name, self.id = artifact.manifest.name, artifact.manifest.id
        self.directions = artifact.directions
        self.max_batch = settings.max_batch or max(2, engine.best_batch)
        self.metrics = metrics
        self._users, self._unused = 0, asyncio.Event()
        self._unused.set()
        self.warm_batches, images_per_s = self._warm_up()
        self.batcher = MicroBatcher(
            self._generate,
            self.max_batch,
            max(1, settings.max_queue // settings.workers),
            images_per_s,
            settings.short_call_ms / 1000,
            engine.calls_at_once,
        )
        self.encoder: ServedEncoder | None = None
        if artifact.encoder_file is not None:
            encoder = Encoder(artifact, settings.wanted.threads)
            self.encoder = ServedEncoder(encoder, self.batcher.threads, settings.max_inversions)

    async def make(self, item: WorkItem, timeout_s: float) -> Made:
        """The images of an item, charged to the key that asks for them.

        Raises RateLimited, and what MicroBatcher.submit raises.
        """
        charge(item.count)
        return await self.make_charged(item, timeout_s)

    async def make_charged(self, item: WorkItem, timeout_s: float, patient: bool = False) -> Made:
        """As `make`, of images that have been charged; with `patient` a full queue is waited for.

        Raises what MicroBatcher.submit raises.
        """
        try:
            made = await (self._in_turn if patient else self.batcher.submit)(item, timeout_s)
        except (Overloaded, Expired, asyncio.CancelledError) as error:
            self.count(item, error)
            raise
        self.count(item, made)
        return made

    async def _in_turn(self, item: WorkItem, timeout_s: float) -> Made:
        """As MicroBatcher.submit, but a full queue is asked again until the time is over."""
        expires = time.monotonic() + timeout_s
        while True:
            try:
                return await self.batcher.submit(item, expires - time.monotonic())
            except Overloaded:
                if time.monotonic() + AGAIN_S > expires:
                    raise
            await asyncio.sleep(AGAIN_S)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the model open for a request that has several items, one after the other."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def close(self) -> None:
        """Finishes what has begun."""
        await self._unused.wait()
        await self.batcher.close()
        if self.encoder is not None:
            self.encoder.close()

    def count(self, item: WorkItem, outcome: Made | BaseException) -> None:
        """Tells the metrics what became of an item."""
        if isinstance(outcome, Made):
            queue_s, engine_s = outcome.queue_ms / 1000, outcome.engine_ms / 1000
            self.metrics.made(self.name, item.count, queue_s, engine_s)
        elif isinstance(outcome, Overloaded):
            self.metrics.refused(self.name)
        elif isinstance(outcome, Expired):
            self.metrics.dropped(self.name, "expired")
        elif isinstance(outcome, asyncio.CancelledError):
            self.metrics.dropped(self.name, "cancelled")

    def _generate(self, items: Sequence[WorkItem]) -> list[Pixels]:
        """One engine call for all items; each gets its own images back. Raises EngineError."""
        inputs = batch_inputs(items, self.spec)
        try:
            with engine_call():
                images = self.engine.generate(*inputs)
        except DeviceLost as error:
            raise self._lost(error) from error
        count, size = len(inputs[0]), self.spec.image_size
        if images.shape != (count, size, size, self.spec.channels) or images.dtype != np.uint8:
            raise EngineError(f"the engine made {images.dtype} {images.shape} of a batch of {count}")
        self.metrics.batch(count)
        if count == len(items):
            return [images[place : place + 1] for place in range(count)]
        ends = np.cumsum([item.count for item in items])
        return np.split(images, ends[:-1])

    def _warm_up(self) -> tuple[list[int], float]:
        """Runs every power of two up to `max_batch`: those sizes, and the largest's images/s.

        Raises EngineError.
        """
        sizes = [1 << power for power in range(self.max_batch.bit_length())]
        for size in sizes:
            for _ in range(2):  # the first call of a size prepares, the second tells its time
                began = time.perf_counter()
                self._generate([WorkItem(0, tuple(range(size)))])
                took_s = time.perf_counter() - began
        return sizes, sizes[-1] / took_s


class Models:
    """All served models by name. Which names there are is settled by `start`, versions may change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._by_name: dict[str, ServedModel] = {}
        self.ready = False
        self.default = ""

    def start(self, routes: Sequence[str] = (), board: Board | None = None) -> None:
        """Opens and warms up every model. Raises ArtifactError, EngineError.

        `routes` are those that metrics tell apart. `board` is what the workers of a server share.
        """
        artifacts = find_artifacts(self.settings)
        self.metrics = Metrics(routes, board.models if board else tuple(artifacts))
        self.board = board or Board.alone(self.metrics.models, self.metrics.columns)
        self.metrics.join(self.board)
        self._by_name = {name: self.load(artifacts[name]) for name in self.metrics.models}
        first = USUAL_DEFAULT if USUAL_DEFAULT in self._by_name else next(iter(self._by_name))
        self.default = self.settings.default_model or first
        self._tell_ready()

    def load(self, artifact: Artifact) -> ServedModel:
        """A model, warm but not served yet. Raises EngineError, ArtifactError."""
        chosen = choose_engine(artifact, self.settings.wanted)
        others = "".join(f"; not {name}: {reason}" for name, reason in chosen.not_taken)
        logger.info("%s is served by %s%s", artifact.manifest.id, chosen.engine.choice, others)
        return ServedModel(artifact, chosen, self.settings, self.metrics, self.tell_lost)

    def tell_lost(self, error: DeviceLost) -> Exception:
        """Ends this worker, since nothing in it can use its GPU again, and tells others of it before.

        Gives what requests are to be told. In a start, which fails, that is the error.
        """
        if not self._by_name:
            return error
        if self.ready:
            self.ready = False
            self.board.tell_lost()
            end_soon(f"{error}; this worker ends")
        return Unready(LOST)

    def tell_alive(self) -> None:
        """Tells the other workers that this one's event loop turns, and how much waits in it."""
        self.board.beat()
        for model in self:
            self.metrics.queued(model.name, model.batcher.queued)

    def check_ready(self) -> None:
        """Raises Unready until every model of every worker is warm."""
        statuses = self.board.statuses() if self.ready else []
        if not statuses:
            raise Unready(WARMING_UP)
        if waiting := sum(not status.ready for status in statuses):
            raise Unready(f"{waiting} of {len(statuses)} workers are starting: ask again in a second")

    def switch(self, model: ServedModel) -> ServedModel:
        """Serves this version from now on; the one it replaces, which has its accepted work to finish."""
        before = self._by_name[model.name]
        self._by_name[model.name] = model
        self._tell_ready()
        return before

    def _tell_ready(self) -> None:
        """One number for all versions together: workers with the same number serve the same."""
        versions = " ".join(model.id for model in self).encode()
        self.ready = True
        self.board.tell_ready(int.from_bytes(hashlib.sha256(versions).digest()[:6]))

    async def close(self) -> None:
        """Finishes accepted work."""
        for model in self._by_name.values():
            await model.close()

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._by_name.values())

    def find(self, name: str) -> ServedModel:
        """The model of a path. Raises NotFound, and Unready before `start` is done."""
        if not self.ready:
            raise Unready(WARMING_UP)
        if name not in self._by_name:
            raise NotFound(f"model {name!r} is not served here: there are {', '.join(self._by_name)}")
        return self._by_name[name]

    def of_request(self, name: str | None) -> ServedModel:
        """The model of a request's field. Raises InvalidField."""
        try:
            return self.find(self.default if name is None else name)
        except NotFound as error:
            raise InvalidField("model", error.detail) from None


def find_artifacts(settings: Settings) -> dict[str, Artifact]:
    """Every artifact that the settings name, verified, by name. Raises ArtifactError."""
    root = settings.models
    if (root / MANIFEST).is_file():
        folders: list[Path] = [root]
    else:
        candidates = sorted(root.iterdir()) if root.is_dir() else []
        folders = [
            path for path in candidates if path.is_dir() and not path.name.startswith((".", "_"))
            and "@" not in path.name
        ]  # fmt: skip
    if not folders:
        raise ArtifactError(
            f"MINTAGE_MODELS {root}: there is no generator; give an artifact's folder or a folder of "
            "them, such as `python -m export` writes"
        )
    artifacts: dict[str, Artifact] = {}
    for folder in folders:
        artifact = Artifact.open(folder)
        if (name := artifact.manifest.name) in artifacts:
            raise ArtifactError(f"{folder} and {artifacts[name].path} are both called {name!r}")
        artifacts[name] = artifact
    default = settings.default_model
    if default is not None and default not in artifacts:
        raise ArtifactError(
            f"MINTAGE_DEFAULT_MODEL {default!r} is not there: {root} has {', '.join(artifacts)}"
        )
    return dict(sorted(artifacts.items()))
