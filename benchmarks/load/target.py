"""The service under load: where it is, what it serves, and whether it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.exchange import FAILURES, Reply, exchange
from generator.spec import GeneratorSpec


class TargetError(RuntimeError):
    """A server that cannot be put under load, with the reason and the way out."""


@dataclass(frozen=True)
class Target:
    """Host and port of a service, and the key that opens it."""

    host: str
    port: int
    api_key: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, api_key: str = "") -> Target:
        """Raises TargetError for what is no address of a service over plain HTTP."""
        try:
            parts = urlsplit(url)
            port = parts.port or 80
        except ValueError as error:
            raise TargetError(f"{url!r}: {error}; use http://HOST:PORT") from None
        if parts.scheme == "https":
            raise TargetError(
                f"{url!r}: https is not spoken here; load the service behind the proxy, by http"
            )
        if parts.scheme != "http" or not parts.hostname:
            raise TargetError(f"{url!r} is no address of a service: use http://HOST:PORT")
        if parts.path not in ("", "/") or parts.query or parts.username:
            raise TargetError(f"{url!r}: leave out what follows the port, routes are chosen with --mix")
        if not api_key.isascii() or not api_key.isprintable():
            raise TargetError("the API key has characters that no header can hold: use printable ASCII")
        return cls(parts.hostname, port, api_key)

    @property
    def address(self) -> str:
        """As the Host header has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, accept: str = "*/*") -> Reply:
        """One request over a connection of its own. Raises TargetError when there is no answer."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            return exchange(self.host, self.port, method, path, body, headers)
        except FAILURES as error:
            raise TargetError(f"http://{self.address}{path} does not answer: {error}") from error

    def model(self, name: str | None = None) -> Model:
        """A served model, the default one for None. Raises TargetError."""
        reply = self.ask("GET", "/v1/models")
        if reply.status in (401, 403):
            raise TargetError(f"http://{self.address} wants an API key: --api-key KEY or MINTAGE_API_KEY")
        try:
            models = [Model.from_json(entry) for entry in json.loads(reply.body)["data"]]
        except (ValueError, KeyError, TypeError):
            raise TargetError(
                f"http://{self.address} is no mintage service: GET /v1/models answered {reply.status}"
            ) from None
        for model in models:
            if model.name == name or (name is None and model.default):
                return model
        names = ", ".join(model.name for model in models)
        raise TargetError(f"http://{self.address} has no model {name!r}: it serves {names or 'none'}")


@dataclass(frozen=True)
class Model:
    """What GET /v1/models tells of one."""

    name: str
    version: str  # name@digest
    default: bool
    engine: str  # its key: engines of one key make the same pixels
    spec: GeneratorSpec

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Model:
        """Raises KeyError, TypeError, SpecError."""
        spec = GeneratorSpec.from_json(entry["manifest"]["spec"])
        return cls(entry["id"], entry["version"], entry["default"], entry["engine"]["key"], spec)
