"""Checkpoint -> artifact: the graph in its two forms, their parity, directions, provenance, a sheet."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from export.cpu_graph import cpu_graph
from export.directions import main_directions
from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import measure_parity
from export.reference import Reference, graph_reference, network_reference
from export.sheet import COLUMNS, draw_sheet, sheet_classes
from export.tail import with_values
from generator.artifact import (
    CPU_ONNX,
    DIRECTIONS,
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
        files={
            ONNX: graph,
            CPU_ONNX: for_cpu,
            DIRECTIONS: main_directions(graph).to_bytes(),
            SHEET: _sheet(graph, spec),
        },
        provenance=provenance,
        parity={PARITY: parity, CPU_PARITY: cpu_parity},
        replace=replace,
    )


def complete_artifact(path: Path) -> Artifact:
    """Adds what an artifact of an earlier version lacks, from its generator.onnx alone.

    That is the graph for CPUs: the network's own weights are not there to compare with, so parity is to
    generator.onnx computed in float64, and the digest, and with it links to images, are those of a new
    version. And it is the main directions, which change no digest; those that are there are never computed
    again, so that what is asked for by them stays the same. An artifact that lacks nothing is not touched.
    Raises ArtifactError, GraphError, ParityError; in each case the artifact is as it was.
    """
    artifact = Artifact.open(path)
    manifest = artifact.manifest
    if artifact.cpu_onnx_file and DIRECTIONS in manifest.files:
        return artifact
    strangers = {file.name for file in artifact.path.iterdir()} - {MANIFEST, *manifest.files}
    if strangers:
        raise ArtifactError(
            f"{path} holds {', '.join(sorted(strangers))}, which is not in its manifest and would be lost: "
            "move it elsewhere first"
        )
    files = {name: (artifact.path / name).read_bytes() for name in manifest.files}
    graph, parity = files.pop(ONNX), dict(manifest.parity)
    if CPU_ONNX not in files:
        files[CPU_ONNX], parity[CPU_PARITY] = _cpu_form(graph, manifest.spec, graph_reference(graph))
    if DIRECTIONS not in files:
        files[DIRECTIONS] = main_directions(graph).to_bytes()
    return write_artifact(
        path,
        name=manifest.name,
        spec=manifest.spec,
        files={ONNX: graph, CPU_ONNX: files.pop(CPU_ONNX), **files},
        provenance=manifest.provenance,
        parity=parity,
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
