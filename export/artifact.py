"""Checkpoint -> artifact: the graph, its parity, its provenance, a sheet to look at."""

from __future__ import annotations

import datetime
import io
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import measure_parity
from generator.artifact import ONNX, Artifact, Provenance, check_free, write_artifact
from generator.latents import latents
from generator.pixels import contact_sheet, enlarge
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from training.checkpoint import Checkpoint

SHEET = "sheet.png"
SHEET_ROWS, SHEET_COLUMNS = 10, 16  # at most so many classes, so many seeds
SHEET_PIXELS = 56  # at least so many pixels a picture


def export_checkpoint(
    checkpoint: Checkpoint, path: Path, name: str | None = None, replace: bool = False
) -> Artifact:
    """Writes the artifact of a checkpoint's averaged generator.

    Raises ArtifactError where it cannot be put, ParityError where the graph is not the network; in either
    case nothing is left behind.
    """
    check_free(path, replace)
    spec, config = checkpoint.spec, checkpoint.config
    generator = checkpoint.generator()
    folded = fold_batch_norm(generator)
    graph = onnx_graph(folded, spec)
    parity = measure_parity(generator, spec, graph, onnx_graph(folded, spec, twin=True))
    provenance = Provenance(
        data_name=config.data_name,
        data_licence=config.data_licence,
        data_attribution=config.data_attribution,
        data_images=checkpoint.data_images,
        kimg=checkpoint.images_shown / 1000,
        training={**config.to_json(), "data": Path(config.data).name},
        versions={package: version(package) for package in ("torch", "onnx", "onnxruntime", "numpy")},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return write_artifact(
        path,
        name=name or config.name,
        spec=spec,
        files={ONNX: graph, SHEET: _sheet(graph, spec)},
        provenance=provenance,
        parity={"onnxruntime-fp32-cpu": parity},
        replace=replace,
    )


def _sheet(graph: bytes, spec: GeneratorSpec) -> bytes:
    """One row a class, one column a seed from 0, as a PNG; evenly chosen where there are many classes."""
    rows = np.linspace(0, spec.num_classes - 1, min(spec.num_classes, SHEET_ROWS)).round()
    labels = [int(label) for label in np.repeat(rows, SHEET_COLUMNS)]
    seeds = list(range(SHEET_COLUMNS)) * len(rows)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feed = {
        LATENT: latents(seeds, spec.latent_dim, noise=spec.noise),
        CLASS_VECTOR: spec.class_vectors(labels),
    }
    images = enlarge(session.run([IMAGES], feed)[0], -(-SHEET_PIXELS // spec.image_size))
    sheet = contact_sheet(images, columns=SHEET_COLUMNS)
    buffer = io.BytesIO()
    Image.fromarray(sheet[..., 0] if spec.channels == 1 else sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
