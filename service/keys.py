"""API keys: who may ask, and for how many images a second.

Keys are optional. A key's token bucket holds images, not requests: one request for a thousand images is
not one image. It may be overdrawn by the last request and then has to fill up again.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path

from service.errors import Forbidden, RateLimited, Unauthorised
from service.http import Scope, header
from service.settings import Settings

MIN_LENGTH = 16  # characters

OPEN = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/"})
PAGE = "/studio/"  # the files of the first page, which has nothing of the models in it
METRICS = "/metrics"


class UnusableKeys(ValueError):
    """Keys that are too short, or a file of them that cannot be read."""


class Bucket:
    """A token bucket of images for one key."""

    def __init__(self, images_per_s: float, burst: float) -> None:
        self._rate, self._burst = images_per_s, burst
        self._tokens, self._filled = burst, time.monotonic()

    def charge(self, images: int) -> None:
        """Raises RateLimited while the bucket is empty."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens <= 0:
            wait_s = (1 - self._tokens) / self._rate
            raise RateLimited(f"this key's {self._rate:g} images a second are used up", wait_s)
        self._tokens -= images


_bucket: ContextVar[Bucket | None] = ContextVar("bucket", default=None)


def charge(images: int) -> None:
    """Takes images from the bucket of the key that this request came with. Raises RateLimited."""
    bucket = _bucket.get()
    if bucket is not None:
        bucket.charge(images)


class Keys:
    """The keys of a server. Without any, everything is open."""

    def __init__(self, settings: Settings) -> None:
        """Raises UnusableKeys."""
        keys = [*settings.api_keys, *_from_file(settings.api_keys_file)]
        for key in [*keys, *([settings.metrics_token] if settings.metrics_token else [])]:
            if len(key) < MIN_LENGTH or not key.isascii() or any(c.isspace() for c in key):
                raise UnusableKeys(
                    f"the key {key[:3]}...: keys and tokens have at least {MIN_LENGTH} ASCII characters "
                    "without blanks; `openssl rand -hex 16` makes one"
                )
        self._hashes = [_hash(key) for key in keys]
        self._metrics_token = _hash(settings.metrics_token) if settings.metrics_token else None
        rate = settings.rate_images_per_s
        self._buckets = (
            [
                Bucket(rate / settings.workers, max(1, settings.rate_burst_images / settings.workers))
                for _ in keys
            ]
            if rate
            else []
        )

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def admit(self, scope: Scope) -> None:
        """Lets a request pass and remembers whose it is. Raises Unauthorised, Forbidden."""
        path = scope["path"]
        if path == METRICS:
            self._admit_to_metrics(scope)
        elif self._hashes and path not in OPEN and not path.startswith(PAGE):
            self.admit_key(given_key(scope))

    def admit_key(self, key: str | None) -> None:
        """As `admit`, for a key that came another way."""
        if key is None:
            raise Unauthorised(
                "this server needs an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
                headers={"www-authenticate": "Bearer"},
            )
        place = _find(key, self._hashes)
        if place is None:
            raise Unauthorised(
                "this API key is not known here: ask whoever runs the server for one",
                headers={"www-authenticate": 'Bearer error="invalid_token"'},
            )
        if self._buckets:
            _bucket.set(self._buckets[place])

    def _admit_to_metrics(self, scope: Scope) -> None:
        key = given_key(scope)
        if self._metrics_token is not None:
            if key is None or _find(key, [self._metrics_token]) is None:
                raise Unauthorised(
                    "metrics need their own token: send it as `Authorization: Bearer TOKEN`",
                    headers={"www-authenticate": "Bearer"},
                )
        elif self._hashes:
            raise Forbidden(
                "metrics are closed while API keys are on: set MINTAGE_METRICS_TOKEN to open them"
            )


def given_key(scope: Scope) -> str | None:
    """The key that a request came with."""
    if (key := header(scope, b"x-api-key")) is not None:
        return key.strip()
    kind, _, key = (header(scope, b"authorization") or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _find(key: str, hashes: Iterable[bytes]) -> int | None:
    """Which one it is. Takes as long for a wrong key as for any right one: hashes, and all are compared."""
    given, found = _hash(key), None
    for place, known in enumerate(hashes):
        if hmac.compare_digest(given, known):
            found = place
    return found


def _from_file(path: Path | None) -> list[str]:
    """One key a line; empty lines and those that begin with # are left out. Raises UnusableKeys."""
    if path is None:
        return []
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableKeys(f"MINTAGE_API_KEYS_FILE {path}: {error}") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise UnusableKeys(
            f"MINTAGE_API_KEYS_FILE {path}: there is no key in it; leave the variable out for none"
        )
    return keys
