"""The engine cache: engines that were built ahead, each a folder with a manifest of its own.

    engines/e9db84b9ef06/                                              a generator, by its digest
        tensorrt-11.4.0.106_nvidia-h200_sm90_fp16_1-2-4-8-16-32-64-128/  an engine of it
            manifest.json   key, sha256 of each file, how it was built, parity
            engine.plan     what TensorRT runs
            layers.json     the layers it has, as TensorRT fused them
    engines/timing/tensorrt-11.4.0.106_nvidia-h200_sm90.SHA256.cache     how fast TensorRT found which kernel

A folder is written beside its place and moved there whole. The cache may be thrown away at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from generator.artifact import SHORT_DIGEST
from generator.engines import EngineError, Precision
from generator.engines.parity import PixelParity

SCHEMA_VERSION = 1
MANIFEST, PLAN, LAYERS = "manifest.json", "engine.plan", "layers.json"
TIMING = "timing"
ANY_GPU = "any"  # an engine built ahead of time for a compute capability, not for one GPU


class CacheError(ValueError):
    """An engine that cannot be put into the cache."""


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built of and for. Another of any of these needs another engine."""

    digest: str  # of the artifact
    graph_sha256: str  # of the ONNX file
    runtime: str  # name and version: tensorrt-11.4.0.106
    gpu: str  # its name, or ANY_GPU
    compute_capability: str  # 9.0
    precision: Precision
    buckets: tuple[int, ...]  # batch sizes, ascending: an optimization profile each

    @property
    def device(self) -> str:
        """Runtime and GPU as a file's name: tensorrt-11.4.0.106_nvidia-h200_sm90."""
        gpu = re.sub(r"[^a-z0-9]+", "-", self.gpu.lower()).strip("-")
        return f"{self.runtime}_{gpu}_sm{self.compute_capability.replace('.', '')}"

    @property
    def folder(self) -> Path:
        """Its place below the cache's root."""
        buckets = "-".join(map(str, self.buckets))
        return Path(self.digest[:SHORT_DIGEST], f"{self.device}_{self.precision}_{buckets}")


@dataclass(frozen=True)
class EngineRecord:
    """The manifest of an engine."""

    key: EngineKey
    files: Mapping[str, str]  # file name -> sha256, hexadecimal
    parity: PixelParity | None  # to onnxruntime on the CPU; None: built where it could not run
    options: Mapping[str, Any] = field(default_factory=dict)  # how it was built
    created: str = ""  # ISO 8601, UTC
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> EngineRecord:
        """Raises EngineError."""
        if fields.get("schema_version") != SCHEMA_VERSION:
            raise EngineError(
                f"schema_version {fields.get('schema_version')}: this program reads {SCHEMA_VERSION}"
            )
        try:
            key = EngineKey(**fields["key"] | {"buckets": tuple(fields["key"]["buckets"])})
            parity = fields["parity"] and PixelParity.from_json(fields["parity"])
            record = cls(**{**fields, "key": key, "files": dict(fields["files"]), "parity": parity})
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"the manifest is not complete: {error}") from error
        if reason := _wrong(record):
            raise EngineError(f"the manifest is wrong: {reason}")
        return record


def _wrong(record: EngineRecord) -> str | None:
    """What no engine's manifest says; None where there is nothing."""
    key = record.key
    texts = {
        "digest": key.digest, "graph_sha256": key.graph_sha256, "runtime": key.runtime, "gpu": key.gpu,
        "compute_capability": key.compute_capability, PLAN: record.files.get(PLAN),
    }  # fmt: skip
    for name, value in texts.items():
        if not isinstance(value, str):
            return f"{name} is {value!r}"
    if key.precision not in get_args(Precision):
        return f"precision {key.precision!r}: allowed are {', '.join(get_args(Precision))}"
    whole = all(type(bucket) is int and bucket > 0 for bucket in key.buckets)
    if not key.buckets or not whole or list(key.buckets) != sorted(set(key.buckets)):
        return f"buckets {list(key.buckets)!r}: allowed are batch sizes, ascending"
    return None


@dataclass(frozen=True)
class CacheEntry:
    """An engine in the cache, whose plan has not been looked at yet."""

    path: Path
    record: EngineRecord

    @property
    def key(self) -> EngineKey:
        return self.record.key

    def read_plan(self) -> bytes:
        """The plan, as it was written: TensorRT runs what is in it, so not a byte may differ.

        Raises EngineError.
        """
        file = self.path / PLAN
        try:
            plan = file.read_bytes()
        except OSError as error:
            raise EngineError(f"{file} cannot be read: {error.strerror}") from error
        found, expected = hashlib.sha256(plan).hexdigest(), self.record.files.get(PLAN, "")
        if found != expected:
            raise EngineError(
                f"{file} was changed or is not whole ({len(plan):,} bytes): its sha256 is "
                f"{found[:SHORT_DIGEST]}..., the manifest says {expected[:SHORT_DIGEST]}..."
            )
        return plan


def find_engines(root: Path, digest: str) -> tuple[list[CacheEntry], list[str]]:
    """The engines of an artifact, and what is wrong with those whose manifest cannot be read."""
    found: list[CacheEntry] = []
    wrong: list[str] = []
    folder = root / digest[:SHORT_DIGEST]
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        try:
            record = EngineRecord.from_json(json.loads((path / MANIFEST).read_text()))
        except (OSError, ValueError, AttributeError, EngineError) as error:
            wrong.append(f"{path / MANIFEST}: {error}")
            continue
        if record.key.digest == digest:
            found.append(CacheEntry(path, record))
    return found, wrong


def store_engine(
    root: Path,
    key: EngineKey,
    files: Mapping[str, bytes],
    *,
    parity: PixelParity | None,
    options: Mapping[str, Any],
    created: str,
) -> CacheEntry:
    """Puts an engine into the cache, in the place of one with the same key. Raises CacheError."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    record = EngineRecord(key, hashes, parity, options, created)
    place = root / key.folder
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{place.name[:100]}-", dir=place.parent))
    except OSError as error:
        raise CacheError(f"{place.parent} cannot be written: {error.strerror}") from error
    try:
        unfinished = scratch / "new"
        unfinished.mkdir()
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
        (unfinished / MANIFEST).write_text(json.dumps(asdict(record), indent=2) + "\n")
        if place.exists():
            os.rename(place, scratch / "old")
        os.rename(unfinished, place)
    except OSError as error:
        if (scratch / "old").exists() and not place.exists():
            os.rename(scratch / "old", place)
        raise CacheError(f"{place} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return CacheEntry(place, record)


def read_timing_cache(root: Path, key: EngineKey) -> bytes:
    """What TensorRT measured here before; nothing where there is none, or where its hash does not fit."""
    for file in sorted((root / TIMING).glob(f"{key.device}.*.cache")):
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == file.suffixes[-2].removeprefix("."):
            return content
    return b""


def write_timing_cache(root: Path, key: EngineKey, content: bytes) -> None:
    """Keeps it under its hash, in the place of the one before."""
    folder = root / TIMING
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{key.device}.{hashlib.sha256(content).hexdigest()}.cache"
    unfinished = folder / f".{file.name}.unfinished"
    unfinished.write_bytes(content)
    unfinished.replace(file)
    for older in folder.glob(f"{key.device}.*.cache"):
        if older != file:
            older.unlink()
