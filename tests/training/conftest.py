"""A small data set with something to learn: two classes that differ in brightness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, Any]


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 2
    images = rng.integers(0, 60, (96, 12, 12)) + labels[:, None, None] * 150
    return {
        "images": images.astype(np.uint8),
        "labels": labels,
        "class_names": np.array(["dark", "bright"]),
    }


@pytest.fixture
def npz(arrays: Arrays, tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"
