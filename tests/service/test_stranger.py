"""Bodies that a stranger may send: each has one clear answer, and the server goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

LATENT = "[0.5, -1, 2, 0, 1e-3]"
ROWS = f"[{LATENT}, {LATENT}]"


async def send(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post("/v1/images", content=body, headers={"content-type": "application/json"})


REFUSED: list[tuple[bytes, int, str]] = [
    # Deep nesting, wherever it is.
    (b"[" * 100_000, 422, ""),
    (b'{"label": 0, "latent": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "latent"),
    (b'{"label": 0, "mix": ' + b'{"0": ' * 100_000 + b"1" + b"}" * 100_001, 422, "mix"),
    (b'{"label": 0, "unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "unknown"),
    # Numbers that are none, or too large.
    (b'{"label": 0, "truncation": 1e999}', 422, "truncation"),
    (b'{"label": 0, "truncation": NaN}', 400, ""),
    (b'{"label": 0, "truncation": Infinity}', 400, ""),
    (b'{"label": 0, "truncation": -1e-999}', 422, "truncation"),
    (b'{"label": ' + b"9" * 100_000 + b"}", 422, "label"),
    (b'{"label": 0, "n": ' + b"9" * 100_000 + b"}", 422, "n"),
    (b'{"label": 0, "seed": 18446744073709551616}', 422, "seed"),
    (b'{"label": 0, "seed": -9223372036854775809}', 422, "seed"),
    (b'{"label": 0, "seed": 1e400}', 422, "seed"),
    (b'{"label": 0, "seed": 7.0}', 422, "seed"),
    (b'{"label": 0, "scale": 1e2}', 422, "scale"),
    (b'{"mix": {"0": 1e308, "1": 1e308}}', 422, "mix"),
    (b'{"label": 0, "latent": [1e308, 0, 0, 0, 0]}', 422, "latent"),
    (b'{"label": 0, "latent": [1e999, 0, 0, 0, 0]}', 422, "latent"),
    # Latents of mixed nesting.
    (f'{{"label": 0, "latent": [{LATENT}, 1, 2, 3, 4]}}'.encode(), 422, "latent"),
    (f'{{"label": 0, "latent": [1, 2, 3, 4, {LATENT}]}}'.encode(), 422, "latent"),
    (f'{{"label": 0, "latent": [{ROWS}]}}'.encode(), 422, "latent"),
    (f'{{"label": 0, "latent": [{LATENT}, []]}}'.encode(), 422, "latent"),
    (b'{"label": 0, "latent": [[], []]}', 422, "latent"),
    (b'{"label": 0, "latent": [[]]}', 422, "latent"),
    (b'{"label": 0, "latent": [{}]}', 422, "latent"),
    (b'{"label": 0, "latent": ["0", "0", "0", "0", "0"]}', 422, "latent"),
    # Text that is none.
    (b'{"label": "\xff\xfe"}', 400, ""),
    (b'{"label": "\xed\xa0\x80"}', 400, ""),
    (b'{"label": "\\ud800"}', 400, ""),
    (b'{"\\ud800": 0}', 400, ""),
    (b'\xef\xbb\xbf{"label": 0}', 400, ""),
    ('{"label": 0}'.encode("utf-16"), 400, ""),
    (b'{"label": "\\u0000"}', 422, "label"),
    ('{"label": "\uff22\uff41\uff47"}'.encode(), 422, "label"),
    ('{"label": "Bag\u200b"}'.encode(), 422, "label"),
    ('{"mix": {"\u0663": 1}}'.encode(), 422, "mix"),
    ('{"label": 0, "model": "grey\u0000"}'.encode(), 400, ""),
    # JSON that is none.
    (b"{'label': 0}", 400, ""),
    (b'{"label": 0,}', 400, ""),
    (b'{"label": 0} {"label": 0}', 400, ""),
    (b'{"label": 00}', 400, ""),
    (b"// a class\n{}", 400, ""),
    (b"\x00" * 1000, 400, ""),
]


@pytest.mark.parametrize(
    ("body", "status", "field"), REFUSED, ids=[repr(body[:40]) for body, _, _ in REFUSED]
)
def test_what_cannot_be_meant_is_refused_with_the_field_at_fault(
    run: Callable[..., None], body: bytes, status: int, field: str
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await send(client, body)
        problem: dict[str, Any] = reply.json()
        assert (reply.status_code, problem.get("field", "")) == (status, field), problem
        assert problem["status"] == status
        assert reply.headers["content-type"] == "application/problem+json"
        assert len(reply.content) < 1000

    run(scenario)


SAME = [
    # The last of two keys counts, as RFC 8259 lets parsers do.
    (b'{"label": 0, "label": 1, "seed": 7}', b'{"label": 1, "seed": 7}'),
    (b'{"label": 1, "seed": 7, "format": null, "n": null}', b'{"label": 1, "seed": 7}'),
    (b' \r\n\t{"label":1,"seed":7}\n', b'{"label": 1, "seed": 7}'),
    (b'{"label": "\\u0042ag", "seed": 7}', b'{"label": 1, "seed": 7}'),
    # A zero has no sign.
    (b'{"label": 1, "latent": [-0.0, 0, -0, 1, 1]}', b'{"label": 1, "latent": [0, 0, 0, 1, 1]}'),
    (b'{"label": 1, "latent": [1e-400, 0, 0, 1, 1]}', b'{"label": 1, "latent": [0, 0, 0, 1, 1]}'),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=[repr(one[:40]) for one, _ in SAME])
def test_what_means_the_same_makes_the_same_pixels(
    run: Callable[..., None], one: bytes, other: bytes
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        replies = [
            await client.post(
                "/v1/images",
                content=body,
                headers={"content-type": "application/json", "accept": "application/x-npy"},
            )
            for body in (one, other)
        ]
        assert [reply.status_code for reply in replies] == [200, 200], replies[0].text
        assert replies[0].content == replies[1].content

    run(scenario)
