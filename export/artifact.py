"""Checkpoint -> artifact: the graph in its two forms, their parity, its provenance, a sheet to look at."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from export.cpu_graph import cpu_graph
from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import measure_parity
from export.reference import Reference, graph_reference, network_reference
from export.sheet import COLUMNS, draw_sheet, sheet_classes
from export.tail import with_values
from generator.artifact import (
    CPU_ONNX,
    MANIFEST,
    ONNX,
    Artifact,
    ArtifactError,
    Parity,
    Provenance,
    check_free,
    write_artifact,
)
from generator.latents import latents
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec
from training.checkpoint import Checkpoint

SHEET = "sheet.png"
PARITY, CPU_PARITY = "onnxruntime-fp32-cpu", "onnxruntime-fp32-cpu-polyphase"


def export_checkpoint(
    checkpoint: Checkpoint, path: Path, name: str | None = None, replace: bool = False
) -> Artifact:
    """Writes the artifact of a checkpoint's averaged generator.

    Raises ArtifactError where it cannot be put, ParityError where a graph is not the network; in either
    case nothing is left behind.
    """
    check_free(path, replace)
    spec, config = checkpoint.spec, checkpoint.config
    generator = checkpoint.generator()
    graph = onnx_graph(fold_batch_norm(generator), spec)
    reference = network_reference(generator, spec)
    parity = measure_parity(reference, spec, graph, with_values(graph))
    for_cpu, cpu_parity = _cpu_form(graph, spec, reference)
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
        files={ONNX: graph, CPU_ONNX: for_cpu, SHEET: _sheet(graph, spec)},
        provenance=provenance,
        parity={PARITY: parity, CPU_PARITY: cpu_parity},
        replace=replace,
    )


def complete_artifact(path: Path) -> Artifact:
    """Adds what an artifact of an earlier version lacks, the graph for CPUs, from its generator.onnx alone.

    The network's own weights are not there to compare with, so parity is to generator.onnx computed in
    float64. All else stays as it is, but the digest, and with it links to images, are those of a new version.
    An artifact that lacks nothing is not touched. Raises ArtifactError, GraphError, ParityError; in each case
    the artifact is as it was.
    """
    artifact = Artifact.open(path)
    manifest = artifact.manifest
    if artifact.cpu_onnx_file:
        return artifact
    strangers = {file.name for file in artifact.path.iterdir()} - {MANIFEST, *manifest.files}
    if strangers:
        raise ArtifactError(
            f"{path} holds {', '.join(sorted(strangers))}, which is not in its manifest and would be lost: "
            "move it elsewhere first"
        )
    files = {name: (artifact.path / name).read_bytes() for name in manifest.files}
    for_cpu, parity = _cpu_form(files[ONNX], manifest.spec, graph_reference(files[ONNX]))
    return write_artifact(
        path,
        name=manifest.name,
        spec=manifest.spec,
        files={ONNX: files.pop(ONNX), CPU_ONNX: for_cpu, **files},
        provenance=manifest.provenance,
        parity={**manifest.parity, CPU_PARITY: parity},
        metrics=manifest.metrics,
        replace=True,
    )


def _cpu_form(graph: bytes, spec: GeneratorSpec, reference: Reference) -> tuple[bytes, Parity]:
    """The graph for CPUs and how far it is from a reference. Raises GraphError, ParityError."""
    for_cpu = cpu_graph(graph)
    return for_cpu, measure_parity(reference, spec, for_cpu, cpu_graph(with_values(graph)))


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
