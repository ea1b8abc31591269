"""Triton's Python backend: label and seed tensors in, a PNG as bytes out; Triton batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work


class TritonPythonModel:
    """One instance of the model: its own process, its own engine."""

    def initialize(self, args: dict[str, str]) -> None:
        self._work = Work(PeerSettings.from_environment())

    def execute(self, requests: list[Any]) -> list[Any]:
        """Requests that Triton put together, each with one row; one engine call for all."""
        labels = [int(_tensor(request, "label")[0, 0]) for request in requests]
        seeds = [int(_tensor(request, "seed")[0, 0]) for request in requests]
        return [
            triton.InferenceResponse([triton.Tensor("png", np.array([[png]], np.object_))])
            for png in self._work.pngs(labels, seeds)
        ]


def _tensor(request: Any, name: str) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = triton.get_input_tensor_by_name(request, name).as_numpy()
    return values
