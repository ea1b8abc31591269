"""What a peer's process is told, through environment variables, so that its workers know it too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

PREFIX = "PEER_"

Encoder = Literal["ours", "encoder", "shipped"]
Handler = Literal["def", "async def"]
Preset = Literal["default", "throughput"]


@dataclass(frozen=True)
class PeerSettings:
    """One way to run a peer. Each takes the fields that it has a use for."""

    model: str
    """An artifact's folder."""
    encoder: Encoder = "shipped"
    """What is ours: `ours` is engine and PNG encoder, `encoder` the latter alone; `shipped` is neither, but
    onnxruntime and Pillow as they are, which is what a peer's user would write."""
    port: int = 0
    """On 127.0.0.1."""
    workers: int = 1
    """Processes that run the model."""
    threads: int = 1
    """CPU threads of each one's engine."""
    max_batch: int = 64
    """Images of one engine call at most."""
    wait_ms: float = 0
    """How long a request may wait for others to share its batch."""
    handler: Handler = "def"
    """FastAPI: `def` runs on a pool of threads, `async def` on the event loop."""
    fronts: int = 1
    """LitServe: processes that speak HTTP."""
    pool: int = 1
    """BentoML: threads of each worker that answer requests."""
    preset: Preset = "default"
    """Ray Serve: its options as they are, or those that it has for throughput."""

    def to_environment(self) -> dict[str, str]:
        return {PREFIX + name.upper(): str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> PeerSettings:
        """The settings that `to_environment` wrote. Raises KeyError for a process that was not told."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            text = environment[PREFIX + field.name.upper()]
            convert = {"int": int, "float": float}.get(str(field.type), str)
            given[field.name] = convert(text)
        return cls(**given)
