"""Every setting of the service, read from MINTAGE_* environment variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from generator.engines import CACHE, EngineName, Precision, Wanted

PREFIX = "MINTAGE_"


def _words(text: object) -> object:
    """Words that commas separate."""
    return tuple(word.strip() for word in text.split(",") if word.strip()) if isinstance(text, str) else text


def _default_workers() -> int:
    """An engine with a thread for each core gains less than a worker for each core does."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """For example MINTAGE_MODELS=/srv/models. A value out of range stops the start with its name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    models: Path = Path("models")
    """A generator's folder, or a folder of them."""
    default_model: str | None = None
    """Which model answers a request that names none; None means `fashion`, else the first by name."""
    workers: int = Field(default_factory=_default_workers, ge=1, le=64)
    """Processes that share the port, each with its own queue and engine; one a core, up to eight."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of a worker's engine; None means its share of the cores."""
    engine: EngineName | None = None
    """tensorrt, onnxruntime-gpu or onnxruntime, and no other in its place; None means the best that runs."""
    engines: Path = CACHE
    """The engine cache, where `python -m export engine` has put engines of TensorRT."""
    precision: Precision | None = None
    """fp16 or fp32: of TensorRT's engines; None means fp16 where there is such an engine, else fp32."""
    fixed_batch: int | None = Field(default=None, ge=1)
    """TensorRT fills every batch up to this size, so no image depends on its batch; None: to the next."""
    max_batch: int | None = Field(default=None, ge=2, le=1024)
    """Images of one engine call at most; None means what the engine does best: 16 on a CPU."""
    short_call_ms: float = Field(default=15, ge=0)
    """Engine calls expected to be this short run on the event loop, longer ones on a thread; 0: all do."""
    max_queue: int = Field(default=2048, ge=1)
    """Images that may wait for one model, shared out between the workers; beyond it requests get 429."""
    max_images: int = Field(default=1024, ge=1, le=65536)
    """Images of one request at most (n, or the number of latents)."""
    max_body_bytes: int = Field(default=16 * 2**20, ge=1024)
    """Size of a request's body at most."""
    max_pixels: int = Field(default=64 * 10**6, ge=10**4)
    """Pixels of one reply at most, after scaling; of one frame, where frames are sent as they are made."""
    max_frames: int = Field(default=10_000, ge=2, le=1_000_000)
    """Frames of one interpolation at most."""
    max_buffered_frames: int = Field(default=1000, ge=2, le=10_000)
    """The same, of the forms that are sent when the last frame is made: PNG strip, WebP, JSON."""
    max_stream_pixels: int = Field(default=10**9, ge=10**4)
    """Pixels of all frames of one interpolation at most, after scaling."""
    max_upload_pixels: int = Field(default=16 * 10**6, ge=1024)
    """Pixels of an image that a request brings at most; each takes up to 16 bytes while it is read."""
    max_inversions: int = Field(default=16, ge=1)
    """Images of requests that a worker reads and inverts at a time, for each model; beyond it 429."""
    body_timeout_s: float = Field(default=10, gt=0)
    """How long a client may take to send a body."""
    keep_alive_s: int = Field(default=75, ge=1, le=86_400)
    """How long a connection stays open without a request; longer than proxies keep theirs (nginx: 60)."""
    timeout_ms: int = Field(default=10_000, ge=1, le=600_000)
    """How long a request may wait and be computed; its own timeout_ms can only make that shorter."""
    max_streams: int = Field(default=64, ge=0)
    """Streams open at once, shared out between the workers; 0 means none is."""
    stream_idle_s: float = Field(default=60, gt=0)
    """A stream whose client says nothing for so long is closed."""
    stream_messages_per_s: int = Field(default=2000, ge=1)
    """Messages a second that a stream takes; a client that sends more is hung up on."""
    engine_timeout_s: float = Field(default=60, gt=0)
    """An engine call that takes longer is hung: the worker ends and is replaced."""
    reload_s: float = Field(default=1, ge=0)
    """How often to look whether a model's folder or link has been switched; 0 means never."""
    api_keys: Words = ()
    """Keys, separated by commas; with any key, requests need one."""
    api_keys_file: Path | None = None
    """A file of further keys, one a line."""
    rate_images_per_s: float | None = Field(default=None, gt=0)
    """Images a second that each key may ask for; None means no limit."""
    rate_burst_images: float = Field(default=2048, ge=1)
    """Images that a key which was quiet may ask for at once."""
    metrics_token: str | None = None
    """What /metrics wants as a bearer token; None means open, or closed while there are API keys."""
    cors_origins: Words = ()
    """Web pages of these origins may use the server, as in https://example.org; * means any."""
    access_log: str | None = None
    """A file for one line of JSON a reply, or - for standard output; None means no log."""
    tracing: bool = False
    """Sends OpenTelemetry traces, as the OTEL_* variables say."""

    @property
    def wanted(self) -> Wanted:
        """The engine that each worker is to open."""
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.workers)
        return Wanted(self.engine, threads, self.engines, self.precision, self.fixed_batch)

    @property
    def is_closed(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.api_keys or self.api_keys_file)


def load_settings() -> Settings:
    """The settings of this process's environment; ends the program with the reason where one is wrong."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    for key in sorted(os.environ):
        # Only a warning: an orchestrator may set MINTAGE_PORT and the like for a service of that name.
        if key.startswith(PREFIX) and key not in known:
            print(f"mintage: {key} is not a setting: there are {', '.join(sorted(known))}", file=sys.stderr)
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = PREFIX + str(wrong["loc"][0]).upper()
        raise SystemExit(f"mintage cannot start: {name} {wrong['input']!r}: {wrong['msg']}") from None
