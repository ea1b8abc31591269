"""onnxruntime as its users take it: the exported graph, a session with the default options."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from generator import Generator
from generator.artifact import Artifact
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT


class PlainEngine:
    """`generator.onnx`, which any runtime takes, where ours takes the form for CPUs."""

    key = "onnxruntime, plain"
    choice = "as users of onnxruntime have it"
    best_batch = 64
    calls_at_once = 1

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: all cores
        self._session = onnxruntime.InferenceSession(
            str(artifact.onnx_file), options, providers=["CPUExecutionProvider"]
        )

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        (images,) = self._session.run([IMAGES], {LATENT: latent, CLASS_VECTOR: class_vector})
        return cast(Pixels, images)


def plain(artifact: Artifact, threads: int | None = None) -> Generator:
    """A generator on such an engine."""
    return Generator(artifact, PlainEngine(artifact, threads))
