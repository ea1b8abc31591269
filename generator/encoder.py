"""An artifact's encoder: from an image back to a latent and a class, on onnxruntime."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.artifact import Artifact
from generator.engines import EngineError
from generator.latents import Latents
from generator.pixels import Pixels
from generator.spec import IMAGES, LATENT, PROBABILITIES


class Encoded(NamedTuple):
    """What an encoder sees in images."""

    latent: Latents  # [N, latent_dim]
    probabilities: npt.NDArray[np.float32]  # [N, num_classes]: of each class, their sum 1


class Encoder:
    """An onnxruntime session on the CPU; safe to call from several threads."""

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        """Raises EngineError for an artifact without an encoder, or one that does not fit its generator."""
        from generator.engines.onnxruntime import open_session  # noqa: PLC0415 - a GPU may do without it

        file, spec = artifact.encoder_file, artifact.spec
        if file is None:
            raise EngineError(
                f"{artifact.path} has no encoder: `python -m training encoder` trains one and "
                "`python -m export encoder` adds it"
            )
        self._session = open_session(file, threads)
        names = {tensor.name for tensor in [*self._session.get_inputs(), *self._session.get_outputs()]}
        if names != {IMAGES, LATENT, PROBABILITIES}:
            raise EngineError(f"{file} has the tensors {sorted(names)}: it is not an encoder's graph")
        one = self.encode(np.zeros((1, spec.image_size, spec.image_size, spec.channels), np.uint8))
        if (one.latent.shape, one.probabilities.shape) != ((1, spec.latent_dim), (1, spec.num_classes)):
            raise EngineError(f"{file} is the encoder of another generator: train one for this")

    def encode(self, images: Pixels) -> Encoded:
        """uint8 [N, H, W, C] -> latents and classes. Raises EngineError."""
        try:
            return Encoded(*self._session.run([LATENT, PROBABILITIES], {IMAGES: images}))
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise EngineError(f"the encoder failed on a batch of {len(images)}: {error}") from error
