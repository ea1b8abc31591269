"""Checkpoint -> artifact: the graph in its forms, their parity, directions, provenance, a sheet."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from export.cpu_graph import cpu_graph
from export.directions import main_directions
from export.fp16 import fp16_graph
from export.onnx_graph import fold_batch_norm, onnx_graph
from export.parity import MAX_ABS_ERROR_FP16, ParityError, measure_parity
from export.reference import Reference, graph_reference, network_reference
from export.sheet import COLUMNS, draw_sheet, sheet_classes
from export.tail import GraphError, with_values
from generator.artifact import (
    CPU_ONNX,
    DIRECTIONS,
    FP16_ONNX,
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
FP16_PARITY = "onnxruntime-fp16-cpu"

Tell = Callable[[str], None]  # what the one who exports should know


def _say_nothing(text: str) -> None:
    """For those who do not ask."""


def export_checkpoint(
    checkpoint: Checkpoint,
    path: Path,
    name: str | None = None,
    replace: bool = False,
    tell: Tell = _say_nothing,
    fp16_error: float = MAX_ABS_ERROR_FP16,
) -> Artifact:
    """Writes the artifact of a checkpoint's averaged generator.

    A generator that float16 is too coarse for, off by more than `fp16_error`, gets no graph in float16, and
    `tell` is told why. Raises ArtifactError where it cannot be put, ParityError where another graph is not
    the network; in either case nothing is left behind.
    """
    check_free(path, replace)
    spec, config = checkpoint.spec, checkpoint.config
    generator = checkpoint.generator()
    graph = onnx_graph(fold_batch_norm(generator), spec)
    reference = network_reference(generator, spec)
    parity = measure_parity(reference, spec, graph, with_values(graph))
    for_cpu, cpu_parity = _cpu_form(graph, spec, reference)
    halves, half_parities = _fp16_form(graph, spec, reference, tell, fp16_error)
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
            **halves,
            DIRECTIONS: main_directions(graph).to_bytes(),
            SHEET: _sheet(graph, spec),
        },
        provenance=provenance,
        parity={PARITY: parity, CPU_PARITY: cpu_parity, **half_parities},
        replace=replace,
    )


def complete_artifact(
    path: Path, tell: Tell = _say_nothing, fp16_error: float = MAX_ABS_ERROR_FP16
) -> Artifact:
    """Adds what an artifact of an earlier version lacks, from its generator.onnx alone.

    That is the graph for CPUs, with which the digest, and so the links to images, are those of a new version;
    and the main directions and the graph in float16, which do not change them. Directions that are there are
    never computed again, so that what is asked for by them stays the same. The network's own weights are not
    there to compare graphs with, so parity is to generator.onnx computed in float64. An artifact that lacks
    nothing is not touched. Raises ArtifactError, GraphError, ParityError; the artifact is whole in each case.
    """
    artifact = Artifact.open(path)
    if not artifact.cpu_onnx_file:
        artifact = _add_cpu_form(path, artifact)
    graph = artifact.onnx_file.read_bytes()
    if DIRECTIONS not in artifact.manifest.files:
        artifact = artifact.add_derived(DIRECTIONS, main_directions(graph).to_bytes(), {})
    if artifact.graph_of("fp16") is None:
        halves, parity = _fp16_form(graph, artifact.spec, graph_reference(graph), tell, fp16_error)
        for name, content in halves.items():
            artifact = artifact.add_derived(name, content, parity)
    return artifact


def _add_cpu_form(path: Path, artifact: Artifact) -> Artifact:
    """A new version in the place of the artifact. Raises ArtifactError, GraphError, ParityError."""
    manifest = artifact.manifest
    strangers = {file.name for file in artifact.path.iterdir()} - {MANIFEST, *manifest.files}
    if strangers:
        raise ArtifactError(
            f"{path} holds {', '.join(sorted(strangers))}, which is not in its manifest and would be lost: "
            "move it elsewhere first"
        )
    files = {name: (artifact.path / name).read_bytes() for name in manifest.files}
    graph = files.pop(ONNX)
    for_cpu, parity = _cpu_form(graph, manifest.spec, graph_reference(graph))
    return write_artifact(
        path,
        name=manifest.name,
        spec=manifest.spec,
        files={ONNX: graph, CPU_ONNX: for_cpu, **files},
        provenance=manifest.provenance,
        parity={**manifest.parity, CPU_PARITY: parity},
        metrics=manifest.metrics,
        replace=True,
    )


def _cpu_form(graph: bytes, spec: GeneratorSpec, reference: Reference) -> tuple[bytes, Parity]:
    """The graph for CPUs and how far it is from a reference. Raises GraphError, ParityError."""
    for_cpu = cpu_graph(graph)
    return for_cpu, measure_parity(reference, spec, for_cpu, cpu_graph(with_values(graph)))


def _fp16_form(
    graph: bytes, spec: GeneratorSpec, reference: Reference, tell: Tell, allowed: float
) -> tuple[dict[str, bytes], dict[str, Parity]]:
    """The graph in float16 and how far it is from a reference; neither where float16 is not enough."""
    try:
        half = fp16_graph(graph)
        parity = measure_parity(reference, spec, half, with_values(half), allowed)
    except (GraphError, ParityError) as error:
        tell(f"it has no {FP16_ONNX}, and GPUs compute it in float32: {error}")
        return {}, {}
    return {FP16_ONNX: half}, {FP16_PARITY: parity}


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
