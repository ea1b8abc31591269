"""Switching to a new version of a model while the server runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from generator.artifact import Artifact, ArtifactError
from generator.engines import EngineError
from service.models import Models, ServedModel

logger = logging.getLogger("mintage")

Sign = tuple[tuple[str, int, int, int], ...]  # name, size, time and number of each file


class Reloader:
    """Looks at the folder of every model and serves what has been put there.

    Requests that the old version has accepted are finished by it. A version that cannot be opened is
    refused and told of once, and the old one goes on.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._closing: set[asyncio.Task[None]] = set()
        self._seen: dict[str, Sign] = {}  # nothing yet: a switch while the models were warmed up is seen too

    async def run(self, every_s: float) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(every_s)
            for model in list(self._models):
                await self.look(model)

    async def look(self, model: ServedModel) -> None:
        """Replaces a model when its folder, or where its link points, is another than before."""
        folder = model.artifact.opened_by
        sign = await asyncio.to_thread(folder_sign, folder)
        if not sign or sign == self._seen.get(model.name):
            return
        self._seen[model.name] = sign
        try:
            fresh = await asyncio.to_thread(self._load, folder, model)
        except (ArtifactError, EngineError, OSError) as error:
            logger.error(
                "%s stays in service; what is in %s now cannot be served: %s", model.id, folder, error
            )
            return
        if fresh is not None:
            before = self._models.switch(fresh)
            logger.info("%s replaces %s", fresh.id, before.id)
            # A film that somebody reads slowly takes its time; meanwhile there may be a newer version.
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _load(self, folder: Path, model: ServedModel) -> ServedModel | None:
        """None where it is the same version. Raises ArtifactError, EngineError."""
        artifact = Artifact.open(folder)
        if artifact.manifest.name != model.name:
            raise ArtifactError(f"it is called {artifact.manifest.name!r}, not {model.name!r}")
        fresh, served = artifact.manifest, model.artifact.manifest
        is_same = (fresh.id, fresh.files) == (served.id, served.files)  # directions are no part of the id
        return None if is_same else self._models.load(artifact)


def folder_sign(folder: Path) -> Sign:
    """Changes when any file of the folder does; empty while there is no folder."""
    try:
        states = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in states)
