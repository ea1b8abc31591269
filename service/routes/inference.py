"""The Open Inference Protocol (KServe V2, REST) at /v2, as Triton's clients speak it.

"inference_rest.md" of the Open Inference Protocol, and Triton's extensions "Binary Tensor Data" and "Model
Configuration". Versions are shortened digests. Errors are `{"error": "..."}` (service/dialects.py).
"""

from __future__ import annotations

import asyncio
import math
import reprlib
from typing import Any

from service import VERSION
from service.errors import BadRequest, UnsupportedMediaType
from service.http import (
    JSON,
    Receive,
    Scope,
    Send,
    cancelled_on_disconnect,
    header,
    read_body,
    send_json,
    send_reply,
)
from service.infer_bodies import (
    OCTETS,
    InferRequest,
    check_reply_size,
    decompress,
    infer_reply,
    parse_infer_request,
    wants_binary,
)
from service.models import Models
from service.routes.images import LARGE_REPLY, check_pixels
from service.settings import Settings
from service.tensor_models import BY_LABEL, TensorModel, find_tensor_model
from service.tensors import read_inputs

EXTENSIONS = ("binary_tensor_data", "model_configuration")


async def server(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"name": "mintage", "version": VERSION, "extensions": EXTENSIONS})


async def live(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, {"live": True})


async def ready(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises Unready until every model of every worker is warm."""
    models.check_ready()
    await send_json(send, {"live": True, "ready": True})


async def model_metadata(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises NotFound, Unready."""
    await send_json(send, _find(models, scope).metadata())


async def model_ready(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises NotFound, Unready."""
    await send_json(send, {"name": _find(models, scope).name, "ready": True})


async def model_config(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Raises NotFound, Unready."""
    await send_json(send, _find(models, scope).config(models.settings.max_images))


async def repository_index(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Every model of both kinds; a new version replaces the old one when it is warm: all are ready."""
    names = [name for model in models for name in (model.name, model.name + BY_LABEL)]
    versions = [find_tensor_model(models, name, None).version for name in names]
    state: dict[str, Any] = {"state": "READY", "reason": ""}
    entries = [{"name": n, "version": v, **state} for n, v in zip(names, versions, strict=True)]
    await send_json(send, entries)


async def infer(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one inference request. Raises Problem."""
    settings = models.settings
    request, binary = await _read_request(scope, receive, settings)
    model = _find(models, scope)
    binary_reply = wants_binary(request)
    item = model.work_item(read_inputs(request.inputs, binary, model.inputs, settings.max_images))
    check_pixels(item.count, 1, model.served, settings.max_pixels)
    check_reply_size(item.count * math.prod(model.image_shape), binary_reply)
    with cancelled_on_disconnect(receive):
        made = await model.served.make(item, _timeout_s(request, settings))
        about = {"model_name": model.name, "model_version": model.version}
        if made.images.size > LARGE_REPLY:
            reply = await asyncio.to_thread(infer_reply, made.images, about, request, binary_reply)
        else:
            reply = infer_reply(made.images, about, request, binary_reply)
    media_type, content, headers = reply
    timing = f"queue;dur={made.queue_ms:.2f}, engine;dur={made.engine_ms:.2f}"
    headers = [
        *headers,
        (b"x-model", model.served.id.encode()),
        (b"server-timing", timing.encode()),
        (b"x-batch-size", str(made.batch).encode()),
    ]
    await send_reply(send, 200, media_type, content, headers)


def _find(models: Models, scope: Scope) -> TensorModel:
    """The model of the path. Raises NotFound, Unready."""
    parts = scope["path_params"]
    return find_tensor_model(models, parts["model"], parts.get("version"))


async def _read_request(scope: Scope, receive: Receive, settings: Settings) -> tuple[InferRequest, bytes]:
    """The request and its binary data. Raises Problem."""
    media_type = (header(scope, b"content-type") or JSON).split(";")[0].strip().lower()
    if media_type not in (JSON, OCTETS):
        raise UnsupportedMediaType(
            f"content-type {reprlib.repr(media_type)}: send {JSON}, or {OCTETS} where binary data follows"
        )
    body = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s)
    if encoding := header(scope, b"content-encoding"):
        body = await asyncio.to_thread(decompress, body, encoding, settings.max_body_bytes)
    return parse_infer_request(body, header(scope, b"inference-header-content-length"))


def _timeout_s(request: InferRequest, settings: Settings) -> float:
    """The parameter `timeout` is in microseconds (Triton's "Schedule Policy"); it can only shorten ours."""
    timeout_us = (request.parameters or {}).get("timeout") or settings.timeout_ms * 1000
    if isinstance(timeout_us, bool) or not isinstance(timeout_us, int) or timeout_us < 0:
        raise BadRequest(f"parameter timeout is {reprlib.repr(timeout_us)}: allowed are whole microseconds")
    return min(timeout_us / 1e6, settings.timeout_ms / 1000)
