"""Checkpoint -> artifact: the graph, its parity, its provenance, a sheet to look at."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import measure_parity
from export.sheet import COLUMNS, draw_sheet, sheet_classes
from generator.artifact import ONNX, Artifact, Provenance, check_free, write_artifact
from generator.latents import latents
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from training.checkpoint import Checkpoint

SHEET = "sheet.png"


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
    """What the graph makes: some classes, seeds from 0."""
    labels = [label for label in sheet_classes(spec) for _ in range(COLUMNS)]
    seeds = list(range(COLUMNS)) * (len(labels) // COLUMNS)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feed = {
        LATENT: latents(seeds, spec.latent_dim, noise=spec.noise),
        CLASS_VECTOR: spec.class_vectors(labels),
    }
    return draw_sheet(session.run([IMAGES], feed)[0], spec)
