"""An artifact: a folder that holds a finished generator and says everything about it.

    models/fashion/
        manifest.json      schema version, name, digest, spec, files with sha256, provenance, parity, metrics
        generator.onnx     the whole of generation: latent, class_vector -> finished uint8 pixels
        generator.cpu.onnx the same in the form that CPUs run fastest; artifacts of earlier versions lack it
        generator.fp16.onnx the same in half precision, for GPUs; not every generator can be had in it
        directions.npz     the main directions of its latent space; artifacts of earlier versions lack them
        encoder.onnx       the way back: images -> latent and class, where one was trained
        sheet.png          what it makes, for people

The manifest is written last, into a temporary folder that is then put in place whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from generator.directions import Directions, DirectionsError
from generator.spec import GeneratorSpec, SpecError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
ONNX = "generator.onnx"
CPU_ONNX = "generator.cpu.onnx"
DIRECTIONS = "directions.npz"
FP16_ONNX = "generator.fp16.onnx"
ENCODER = "encoder.onnx"
IDENTITY = (ONNX, CPU_ONNX)  # of these the digest is; what is only derived from them does not change it
SHORT_DIGEST = 12  # hexadecimal digits that name a version in links and headers


class ArtifactError(ValueError):
    """A folder that is not a whole and untouched artifact, with what is wrong and the way out."""


@dataclass(frozen=True)
class Provenance:
    """Where a generator comes from."""

    data_name: str
    data_licence: str
    data_attribution: str
    data_images: int  # how many images it was trained on
    kimg: float  # thousands of real images shown in training
    training: Mapping[str, Any] = field(default_factory=dict)  # every option of the run
    versions: Mapping[str, str] = field(default_factory=dict)  # of the software that made it
    created: str = ""  # ISO 8601, UTC


@dataclass(frozen=True)
class Parity:
    """How far an engine's images are from the trained network's, over the batches that were compared."""

    batches: tuple[int, ...]
    max_abs_error: float  # before rounding, of a range of 2, from the reference computed in float64
    max_abs_error_float32: float  # the same from the reference in float32, whose own rounding counts too
    max_pixel_error: int  # in uint8 steps
    differing_pixels: int
    compared_pixels: int
    reference: str = "the trained network"  # or the graph that stood for it where it was gone


@dataclass(frozen=True)
class Manifest:
    name: str
    spec: GeneratorSpec
    files: Mapping[str, str]  # file name -> sha256, hexadecimal
    provenance: Provenance
    parity: Mapping[str, Parity]  # engine -> parity
    metrics: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def digest(self) -> str:
        """The generator's identity, sha256: its spec and its float32 graphs, nothing else."""
        graphs = {name: sha for name, sha in self.files.items() if name in IDENTITY}
        identity = {"spec": self.spec.to_json(), "files": graphs}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def id(self) -> str:
        """name@digest, the digest shortened: what replies and links call this version."""
        return f"{self.name}@{self.digest[:SHORT_DIGEST]}"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "digest": self.digest,
            "spec": self.spec.to_json(),
            "files": dict(self.files),
            "provenance": asdict(self.provenance),
            "parity": {engine: asdict(parity) for engine, parity in self.parity.items()},
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Manifest:
        """The manifest that `to_json` wrote. Raises ArtifactError."""
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ArtifactError(f"schema_version {version}: this program reads {SCHEMA_VERSION}")
        try:
            parity = {
                engine: Parity(**record | {"batches": tuple(record["batches"])})
                for engine, record in fields["parity"].items()
            }
            manifest = cls(
                name=fields["name"],
                spec=GeneratorSpec.from_json(fields["spec"]),
                files=fields["files"],
                provenance=Provenance(**fields["provenance"]),
                parity=parity,
                metrics=fields["metrics"],
            )
            digest = fields["digest"]
        except (KeyError, TypeError, AttributeError, SpecError) as error:
            raise ArtifactError(f"the manifest is not complete: {error}") from error
        if digest != manifest.digest:
            raise ArtifactError(
                f"digest {digest[:SHORT_DIGEST]}... does not fit the contents: they have "
                f"{manifest.digest[:SHORT_DIGEST]}..."
            )
        return manifest


@dataclass(frozen=True)
class Artifact:
    """A verified artifact on disk."""

    path: Path
    manifest: Manifest
    opened_by: Path  # where it was asked for: a symlink, perhaps, that points elsewhere by now

    @property
    def spec(self) -> GeneratorSpec:
        return self.manifest.spec

    @property
    def onnx_file(self) -> Path:
        return self.path / ONNX

    @property
    def cpu_onnx_file(self) -> Path | None:
        """The graph in the form that CPUs run fastest; None where the artifact has none."""
        return self.path / CPU_ONNX if CPU_ONNX in self.manifest.files else None

    @cached_property
    def directions(self) -> Directions | None:
        """The main directions of the latent space; None where the artifact has none. Raises ArtifactError."""
        if DIRECTIONS not in self.manifest.files:
            return None
        file = self.path / DIRECTIONS
        try:
            return Directions.from_bytes(file.read_bytes(), self.spec.latent_dim)
        except (DirectionsError, OSError) as error:
            raise ArtifactError(f"{file}: {error}; export the generator again") from error

    @property
    def encoder_file(self) -> Path | None:
        """The graph from images to latents and classes; None where the artifact has none."""
        return self.path / ENCODER if ENCODER in self.manifest.files else None

    def graph_of(self, precision: Literal["fp16", "fp32"]) -> Path | None:
        """The graph that every runtime takes, in that precision; None where the artifact has none."""
        name = {"fp32": ONNX, "fp16": FP16_ONNX}[precision]
        return self.path / name if name in self.manifest.files else None

    @classmethod
    def open(cls, path: str | Path) -> Artifact:
        """Reads the manifest and checks the sha256 of every file. Raises ArtifactError."""
        folder = Path(path).resolve()  # a symlink may be switched while this version is in use
        file = folder / MANIFEST
        manifest = read_manifest(folder)
        if ONNX not in manifest.files:
            raise ArtifactError(f"{file} lists no {ONNX}; export the generator again")
        for name, expected in manifest.files.items():
            member = folder / name
            if Path(name).name != name or not member.is_file():
                raise ArtifactError(f"{member} is missing; export the generator again")
            found = hashlib.sha256(member.read_bytes()).hexdigest()
            if found != expected:
                raise ArtifactError(
                    f"{member} was changed: its sha256 is {found[:SHORT_DIGEST]}..., the manifest says "
                    f"{expected[:SHORT_DIGEST]}...; export the generator again"
                )
        return cls(folder, manifest, Path(path))

    def record_metrics(self, metrics: Mapping[str, Any]) -> Artifact:
        """Adds measurements to the manifest, in place and at once; the digest stays."""
        return self._rewrite(replace(self.manifest, metrics={**self.manifest.metrics, **metrics}))

    def add_derived(self, name: str, content: bytes, parity: Mapping[str, Parity]) -> Artifact:
        """Adds a file that the digest is not of, in place: the manifest, which makes it count, comes last."""
        unfinished = self.path / f"{name}.unfinished"
        unfinished.write_bytes(content)
        os.replace(unfinished, self.path / name)
        sha256 = hashlib.sha256(content).hexdigest()
        files, parity = {**self.manifest.files, name: sha256}, {**self.manifest.parity, **parity}
        return self._rewrite(replace(self.manifest, files=files, parity=parity))

    def _rewrite(self, manifest: Manifest) -> Artifact:
        """Another manifest of the same generator, put in the place of this one at once."""
        unfinished = self.path / f"{MANIFEST}.unfinished"
        unfinished.write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
        os.replace(unfinished, self.path / MANIFEST)
        return Artifact.open(self.path)


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, whose files are not looked at. Raises ArtifactError."""
    file = folder / MANIFEST
    if not file.is_file():
        raise ArtifactError(
            f"{folder} is not an artifact: it has no {MANIFEST}; `python -m export` makes one"
        )
    try:
        return Manifest.from_json(json.loads(file.read_text()))
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise ArtifactError(f"{file} is not valid JSON: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(f"{file}: {error}; export the generator again") from error


def check_free(path: Path, replace: bool) -> None:
    """Raises ArtifactError where an artifact could not be put."""
    if not path.exists() and not path.is_symlink():
        return
    if not replace:
        raise ArtifactError(f"{path} is already there: --replace replaces it, or give another name")
    if not (path / MANIFEST).is_file():
        raise ArtifactError(f"{path} is not an artifact, so it is not replaced: give another name")


def write_artifact(
    path: Path,
    *,
    name: str,
    spec: GeneratorSpec,
    files: Mapping[str, bytes],
    provenance: Provenance,
    parity: Mapping[str, Parity],
    metrics: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Artifact:
    """Writes an artifact beside its place, checks it, then moves it there whole.

    Where `path` is a symlink, the new version is put beside it and the link is switched, which no reader
    can see half-done; a folder, or a version that is there already, is exchanged by two renames. Raises
    ArtifactError.
    """
    check_free(path, replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    manifest = Manifest(name, spec, hashes, provenance, parity, metrics or {})
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        unfinished.chmod(0o755)
        for file, content in files.items():
            (unfinished / file).write_bytes(content)
        (unfinished / MANIFEST).write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
        Artifact.open(unfinished).directions  # noqa: B018, that both can be read
        _put_in_place(unfinished, path, manifest.id)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Artifact.open(path)


def _put_in_place(unfinished: Path, path: Path, version: str) -> None:
    if path.is_symlink():
        target = path.parent / version
        _put_folder(unfinished, target)
        link = path.parent / f".{path.name}-link"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        os.replace(link, path)
    else:
        _put_folder(unfinished, path)


def _put_folder(unfinished: Path, path: Path) -> None:
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
        os.rename(path, old / path.name)
        try:
            os.rename(unfinished, path)
        except OSError:
            os.rename(old / path.name, path)
            raise
        shutil.rmtree(old)
    else:
        os.rename(unfinished, path)
