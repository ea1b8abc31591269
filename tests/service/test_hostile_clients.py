"""Clients that leave, dawdle, flood or talk nonsense: none of them costs the others anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.raw_client import Broken, Connection, Reply, connected, get, post
from tests.service.test_server import serving

DEADLINE_S = 30
BODY_TIMEOUT_S = 1.0
MAX_BODY = 2**20
MIB = 2**20
GOOD = post({"model": "grey", "label": 1, "seed": 7, "format": "npy"})


@pytest.fixture(scope="module")
def url(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        tmp_path_factory.mktemp("home"),
        models=models_folder,
        threads=1,
        max_queue=10**6,
        max_body_bytes=MAX_BODY,
        body_timeout_s=BODY_TIMEOUT_S,
    ) as (url, _):
        yield url


async def ask(url: str, request: bytes) -> Reply:
    async with connected(url) as connection:
        return await connection.ask(request)


async def metric(url: str, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    reply = await ask(url, get("/metrics"))
    return sum(
        sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def worker(url: str) -> psutil.Process:
    reply = await ask(url, get("/readyz"))
    return psutil.Process(reply.json["workers"][0]["pid"])


async def until(law: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not await law():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def in_time(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario, 2 * DEADLINE_S)

    asyncio.run(bounded())


def test_work_of_clients_that_left_is_dropped_and_counted(url: str) -> None:
    async def scenario() -> None:
        route = "/v1/images"
        made = await metric(url, "mintage_images_total")
        gone = await metric(url, "mintage_requests_total", route=route, status="499")
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(url)) for _ in range(60)]
            for client in clients:
                await client.send(post({"model": "grey", "label": 0, "n": 1024, "format": "npy"}))
        assert (await ask(url, GOOD)).status == 200

        async def are_given_up() -> bool:
            dropped = await metric(url, "mintage_dropped_total", reason="cancelled")
            return (
                dropped > 0 and await metric(url, "mintage_requests_total", route=route, status="499") > gone
            )

        await until(are_given_up)
        assert await metric(url, "mintage_images_total") - made < 60 * 1024

    in_time(scenario())


def test_a_body_that_drips_is_told_that_it_is_too_slow(url: str) -> None:
    async def scenario() -> None:
        async with connected(url) as connection:
            drip = asyncio.create_task(dripping(connection, GOOD[:-20], 0.2))
            began = time.monotonic()
            reply = await connection.reply()
            assert reply.status == 408
            assert time.monotonic() - began < BODY_TIMEOUT_S + 5
            drip.cancel()

    in_time(scenario())


async def dripping(connection: Connection, content: bytes, every_s: float) -> None:
    """The head of a request at once, then a byte now and then."""
    head, gap, rest = content.partition(b"\r\n\r\n")
    await connection.send(head + gap)
    for byte in rest:
        await connection.send(bytes([byte]))
        await asyncio.sleep(every_s)


def test_heads_that_drip_and_replies_that_nobody_reads_leave_others_alone(url: str) -> None:
    async def scenario() -> None:
        process = await worker(url)
        files = process.num_fds()
        large = post({"model": "rgb", "label": 0, "n": 1024, "scale": 8, "format": "npy"})
        async with AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(connected(url)) for _ in range(100)]
            deaf = [await stack.enter_async_context(connected(url)) for _ in range(2)]
            for client in deaf:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await client.send(large)
            for byte in GOOD[:30]:
                for client in slow:
                    await client.send(bytes([byte]))
                assert (await ask(url, GOOD)).status == 200

        async def are_closed() -> bool:
            return bool(process.num_fds() <= files + 5)

        await until(are_closed)

    in_time(scenario())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_are_refused_early_and_never_kept(url: str, chunked: bool) -> None:
    async def scenario() -> None:
        process = await worker(url)
        assert (await ask(url, post(b"x" * (MAX_BODY + 1)))).status == 413
        before = process.memory_info().rss
        head = post(b"").replace(b"content-length: 0", b"content-length: 100000000")
        part = b"[" * MIB
        if chunked:
            head = head.replace(b"content-length: 100000000", b"transfer-encoding: chunked")
            part = b"%x\r\n%s\r\n" % (len(part), part)
        largest = 0
        async with connected(url) as connection:
            await connection.send(head)
            reply = asyncio.create_task(connection.reply())
            with suppress(ConnectionError):
                for _ in range(95):
                    await connection.send(part)
                    largest = max(largest, process.memory_info().rss)
            assert (await reply).status == 413
        assert largest - before < 8 * MIB

    in_time(scenario())


ENDLESS = {
    "headers": (b"GET /livez HTTP/1.1\r\n", b"x-name: value\r\n" * 1000),
    "a header": (b"GET /livez HTTP/1.1\r\nx-name: ", b"v" * 10_000),
    "a name": (b"GET /livez HTTP/1.1\r\n", b"n" * 10_000),
    "a path": (b"GET /", b"p" * 10_000),
    "blank lines": (b"", b"\r\n" * 10_000),
    "trailers": (
        post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"1\r\nx\r\n0\r\n",
        b"x-name: value\r\n" * 1000,
    ),
    "a chunk's extension": (
        post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"1;",
        b"e" * 10_000,
    ),
}


async def flood(connection: Connection, start: bytes, part: bytes) -> None:
    await connection.send(start)
    for _ in range(10_000):  # 100 MB
        await connection.send(part)


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_hung_up_on_and_never_kept(url: str, what: str) -> None:
    start, part = ENDLESS[what]

    async def scenario() -> None:
        process = await worker(url)
        before = process.memory_info().rss
        async with connected(url) as connection:
            with pytest.raises(ConnectionError):
                await flood(connection, start, part)
            with suppress(Broken):  # a client that goes on sending may not see it
                assert (await connection.reply()).status == 431
        assert process.memory_info().rss - before < 8 * MIB
        assert (await ask(url, GOOD)).status == 200

    in_time(scenario())


def test_a_head_that_is_too_large_is_told_so(url: str) -> None:
    async def scenario() -> None:
        async with connected(url) as connection:
            await connection.send(b"GET /livez HTTP/1.1\r\nx-name: " + b"v" * 2**16)
            reply = await connection.reply()
            assert (reply.status, reply.json["status"]) == (431, 431)

    in_time(scenario())


def test_requests_in_one_write_are_answered_in_order(url: str) -> None:
    requests = [post({"model": "grey", "label": n % 3, "seed": n, "format": "npy"}) for n in range(40)]
    requests[7], requests[20] = get("/livez"), get("/nowhere")

    async def scenario() -> None:
        alone = [await ask(url, request) for request in requests]
        async with connected(url) as connection:
            await connection.send(b"".join(requests))
            together = [await connection.reply() for _ in requests]
        assert [reply.body for reply in together] == [reply.body for reply in alone]
        assert [reply.status for reply in together] == [reply.status for reply in alone]

    in_time(scenario())


MANY_HEADERS = b"".join(b"x-%d: y\r\n" % n for n in range(10_000))
NONSENSE = {
    "no line": b"\x00\r\n\r\n",
    "binary": bytes(range(256)) * 10,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/3.7": b"GET /livez HTTP/3.7\r\nhost: x\r\n\r\n",
    "HTTP/x": b"GET /livez HTTP/x\r\n\r\n",
    "no such method": b"IMAGINE /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nhost: x\r\n\r\n",
    "an address for a path": b"GET http://example.org HTTP/1.1\r\nhost: example.org\r\n\r\n",
    "path of bytes": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "null in a path": b"GET /v1/\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
    "null in a header": b"GET /livez HTTP/1.1\r\nhost: \x00\r\n\r\n",
    "header without a name": b"GET /livez HTTP/1.1\r\n: x\r\n\r\n",
    "two lengths": GOOD.replace(b"\r\nhost", b"\r\ncontent-length: 3\r\nhost"),
    "length and chunks": GOOD.replace(b"\r\nhost", b"\r\ntransfer-encoding: chunked\r\nhost"),
    "negative length": post(b"").replace(b"length: 0", b"length: -1"),
    "length of words": post(b"").replace(b"length: 0", b"length: many"),
    "endless length": post(b"").replace(b"length: 0", b"length: " + b"9" * 5000),
    "bad chunk": post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"zz\r\n\r\n",
    "huge chunk": post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"f" * 40,
    "endless path": b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "endless query": b"GET /v1/images/grey/0/7.png?mix="
    + b"a:1," * 200_000
    + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "many parameters": b"GET /v1/images/grey/0/7.png?" + b"a&" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "many headers": GOOD.replace(b"\r\nhost: test", b"\r\nhost: test\r\n" + MANY_HEADERS.strip()),
    "endless accept": GOOD.replace(b"*/*", b"image/png;q=0," * 50_000),
    "another web": GOOD.replace(b"\r\nhost", b"\r\nupgrade: websocket\r\nconnection: upgrade\r\nhost"),
    "another web at length": get("/v1/stream").replace(
        b"\r\nhost", b"\r\nx: " + b"y" * 10_000 + b"\r\nupgrade: websocket\r\nconnection: upgrade\r\nhost"
    ),
    "another web of bytes": get("/v1/\xff").replace(
        b"\r\nhost", b"\r\nupgrade: websocket\r\nconnection: upgrade\r\nhost"
    ),
    "h2c": GOOD.replace(b"\r\nhost", b"\r\nupgrade: h2c\r\nconnection: upgrade\r\nhost"),
    "expects": GOOD.replace(b"\r\nhost", b"\r\nexpect: 100-continue\r\nhost"),
    "many types": GOOD.replace(b"\r\nhost", b"\r\ncontent-type: text/plain\r\nhost"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_refused_or_hung_up_on(url: str, kind: str) -> None:
    async def scenario() -> None:
        async with connected(url) as connection:
            with suppress(Broken):
                reply = await asyncio.wait_for(connection.ask(NONSENSE[kind]), DEADLINE_S)
                assert reply.status in {100, 200, 400, 403, 404, 405, 408, 413, 414, 415, 422, 431}
        assert (await ask(url, GOOD)).status == 200

    in_time(scenario())
