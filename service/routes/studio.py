"""GET /, /studio/{file}: the studio, a page on which a generator is explored by hand."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from msgspec import Struct

from service.errors import NotFound
from service.http import Headers, Receive, Scope, Send, header, send_reply
from service.models import Models

FOLDER = Path(__file__).parents[1] / "studio"
PAGE = "index.html"
# Nothing but the page's own files and this server's replies; no inline script or style.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS = {".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS: Headers = [
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class File(Struct, frozen=True):
    kind: str
    content: bytes
    tag: str


async def page(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    await _send(files()[PAGE, models.settings.is_closed], scope, send)


async def file(models: Models, scope: Scope, receive: Receive, send: Send) -> None:
    """One of the page's files. Raises NotFound."""
    found = files().get((scope["path_params"]["file"], False))
    if found is None:
        raise NotFound(f"{scope['path']} is not there: the studio is at /")
    await _send(found, scope, send)


@cache
def files() -> dict[tuple[str, bool], File]:
    """Every file by its name, and the page also as it is when requests need a key, which it then asks for."""
    read = {(path.name, False): path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
    read[PAGE, True] = read[PAGE, False].replace(b'data-key="no"', b'data-key="yes"')
    return {key: _file(key[0], content) for key, content in read.items()}


def _file(name: str, content: bytes) -> File:
    suffix = Path(name).suffix
    kind = KINDS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return File(kind, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


async def _send(found: File, scope: Scope, send: Send) -> None:
    headers = [*HEADERS, (b"etag", found.tag.encode())]
    known = [tag.strip().removeprefix("W/") for tag in (header(scope, b"if-none-match") or "").split(",")]
    if found.tag in known:
        await send_reply(send, 304, None, b"", headers)
    else:
        await send_reply(send, 200, found.kind, found.content, headers)
