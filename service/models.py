"""The generators being served: each with its artifact, its engine, its queue."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from generator.artifact import MANIFEST, Artifact, ArtifactError
from generator.engines import Engine, open_engine
from generator.pixels import Pixels
from service.batching import MicroBatcher
from service.errors import InvalidField, NotFound, Unready
from service.requests import WorkItem, batch_inputs
from service.settings import Settings

WARMING_UP = "models are still warming up: ask again in a second"


class ServedModel:
    """A generator that takes work items."""

    def __init__(self, artifact: Artifact, engine: Engine, settings: Settings) -> None:
        self.artifact, self.spec, self.engine = artifact, artifact.spec, engine
        self.name, self.id = artifact.manifest.name, artifact.manifest.id
        self.batcher = MicroBatcher(self._generate, settings.max_batch, settings.max_queue)

    def _generate(self, items: Sequence[WorkItem]) -> list[Pixels]:
        """One engine call for all items; each gets its own images back."""
        images = self.engine.generate(*batch_inputs(items, self.spec))
        ends = np.cumsum([item.count for item in items])
        return np.split(images, ends[:-1])

    def warm_up(self, max_batch: int) -> list[int]:
        """Runs every power of two up to `max_batch`; the sizes that are warm. Raises EngineError."""
        sizes = [1 << power for power in range(max_batch.bit_length())]
        vector = self.spec.class_vectors([0])[0]
        for size in sizes:
            self._generate([WorkItem(vector, tuple(range(size)))])
        return sizes


class Models:
    """All served models by name. Empty until `start`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._by_name: dict[str, ServedModel] = {}
        self.warm_batches: list[int] = []
        self.default = ""

    @property
    def ready(self) -> bool:
        return bool(self.warm_batches)

    def start(self) -> None:
        """Opens and warms up every model. Raises ArtifactError, EngineError."""
        artifacts = find_artifacts(self.settings)
        threads = self.settings.threads or max(1, (os.cpu_count() or 1) // self.settings.workers)
        for artifact in artifacts.values():
            model = ServedModel(artifact, open_engine(artifact, threads), self.settings)
            warm = model.warm_up(self.settings.max_batch)
            self._by_name[model.name] = model
        self.default = self.settings.default_model or next(iter(self._by_name))
        self.warm_batches = warm

    async def close(self) -> None:
        """Finishes accepted work."""
        for model in self._by_name.values():
            await model.batcher.close()

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
