"""A trained encoder -> a graph beside the generator's, which changes neither its digest nor its links."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from export.onnx_graph import to_onnx
from export.parity import ParityError
from generator.artifact import ENCODER, Artifact, ArtifactError
from generator.latents import latents
from generator.spec import IMAGES, LATENT, PROBABILITIES
from training.encoder.checkpoint import EncoderCheckpoint
from training.encoder.network import Encoding

BATCHES = (1, 3, 64)
MAX_ERROR = 1e-4  # of a latent's components and of probabilities


def add_encoder(path: Path, run: Path) -> Artifact:
    """Puts the encoder of a run folder into an artifact, in the place of the one that it may have.

    What was measured of that one is forgotten. Raises CheckpointError for an encoder of another generator or
    one that is not finished, ArtifactError, ParityError; the artifact is whole in each case.
    """
    artifact, checkpoint = Artifact.open(path), EncoderCheckpoint.load(run)
    checkpoint.check_is_of(artifact.manifest.digest, run)
    if not checkpoint.is_finished:
        raise ArtifactError(f"{run} has not learned to its end: `python -m training encoder` goes on with it")
    graph = encoder_graph(checkpoint)
    check_parity(checkpoint, graph)
    if "inversion" in artifact.manifest.metrics:
        artifact = artifact.record_metrics({"inversion": {}})
    return artifact.add_derived(ENCODER, graph, {})


def encoder_graph(checkpoint: EncoderCheckpoint) -> bytes:
    """An ONNX file: images uint8 [N, H, W, C] -> latent [N, latent_dim], probabilities [N, num_classes]."""
    spec = checkpoint.spec
    example = torch.zeros(2, spec.image_size, spec.image_size, spec.channels, dtype=torch.uint8)
    return to_onnx(Encoding(checkpoint.encoder()).eval(), (example,), [IMAGES], [LATENT, PROBABILITIES])


def check_parity(checkpoint: EncoderCheckpoint, graph: bytes) -> None:
    """Raises ParityError where onnxruntime on the graph sees something else in images than torch."""
    spec, encoding = checkpoint.spec, Encoding(checkpoint.encoder()).eval()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    pixels = spec.image_size**2 * spec.channels
    for batch in BATCHES:
        noise = latents(range(batch), pixels, noise="uniform")  # [N, pixels] in (-1, 1)
        shape = batch, spec.image_size, spec.image_size, spec.channels
        images = ((noise + 1) * 127.5).astype(np.uint8).reshape(shape)
        with torch.no_grad():
            expected = encoding(torch.from_numpy(images))
        found = session.run([LATENT, PROBABILITIES], {IMAGES: images})
        error = max(float(np.abs(one - two.numpy()).max()) for one, two in zip(found, expected, strict=True))
        if not error <= MAX_ERROR:
            raise ParityError(f"the encoder's graph is {error:.1e} from torch: allowed is {MAX_ERROR:g}")
