"""GET /v1/models, GET /v1/models/{model}: what is served, from which artifact, on which engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.http import Receive, Scope, Send, send_json
from service.models import Models, ServedModel


async def list_models(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """The shape that OpenAI clients expect, and more in each entry."""
    await send_json(send, {"object": "list", "data": [_entry(m, models) for m in models]})


async def show_model(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """One model. Raises NotFound."""
    name = scope["path_params"]["model"]
    await send_json(send, _entry(models.find(name), models))


def _entry(model: ServedModel, models: Models) -> dict[str, Any]:
    manifest = model.artifact.manifest
    return {
        "id": model.name,
        "object": "model",
        "created": int(datetime.fromisoformat(manifest.provenance.created).timestamp()),
        "owned_by": "mintage",
        "version": model.id,
        "default": model.name == models.default,
        "engine": {
            "key": model.engine.key,
            "choice": model.engine.choice,
            "not_taken": [{"engine": name, "reason": reason} for name, reason in model.not_taken],
        },
        "warm_batch_sizes": model.warm_batches,
        "directions": [
            {"index": index, "explained": round(float(share), 6)}
            for index, share in enumerate(model.directions.explained if model.directions else ())
        ],
        "encoder": model.encoder is not None,
        "manifest": manifest.to_json(),
    }
