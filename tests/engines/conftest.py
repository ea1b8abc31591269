from __future__ import annotations

from pathlib import Path

import pytest

from generator.artifact import Artifact
from tests.engines.opening import cached


@pytest.fixture(scope="module")
def artifact(grey: Path) -> Artifact:
    return Artifact.open(grey)


@pytest.fixture
def cache(tmp_path: Path, artifact: Artifact) -> Path:
    cached(tmp_path, artifact)
    return tmp_path


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, artifact: Artifact) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    cached(folder, artifact)
    return folder
