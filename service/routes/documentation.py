"""GET /docs, /openapi.json: the interface, to read and to try, without the internet."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import bentoml

from service.errors import NotFound
from service.http import Receive, Scope, Send, send_json, send_reply
from service.models import Models
from service.openapi import openapi

# Swagger UI comes with BentoML.
SWAGGER_UI = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-light-32x32.png")

PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mintage: interface</title>
<link rel="icon" href="docs/favicon-light-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true});
</script>
</body>
</html>
"""


async def docs(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, "text/html; charset=utf-8", PAGE)


async def docs_file(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """One of Swagger UI's files. Raises NotFound."""
    name = scope["path_params"]["file"]
    if name not in FILES:
        raise NotFound(f"/docs/{name} is not there: see /docs")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    await send_reply(send, 200, kind, (SWAGGER_UI / name).read_bytes())


async def openapi_json(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, openapi(models))
