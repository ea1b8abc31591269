"""The Open Inference Protocol at /v2, in this process: shapes, datatypes, binary layout, errors."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from generator import Generator
from generator.artifact import Artifact
from generator.latents import latents
from generator.pixels import Pixels
from service import infer_bodies
from service.app import App
from service.keys import Keys
from service.models import Models
from service.settings import Settings
from tests.service.conftest import nothing_behind

Run = Callable[..., None]
Tensor = dict[str, Any]
LENGTH = "inference-header-content-length"


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> Tensor:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


SEED = tensor("seed", "UINT32", [7, 8])
LABEL = tensor("label", "BYTES", ["Bag", "ankle-boot"])
LATENT = tensor("latent", "FP32", latents([7, 8], 5).tolist(), [2, 5])
VECTOR = tensor("class_vector", "FP32", [0, 1, 0, 0, 0, 1], [2, 3])


def url(model: str, version: str | None = None) -> str:
    return f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"


async def infer(client: httpx.AsyncClient, model: str, *inputs: Tensor, **fields: Any) -> httpx.Response:
    return await client.post(url(model), json={"inputs": inputs, **fields})


def asked(**parameters: Any) -> list[Tensor]:
    return [{"name": "images", "parameters": parameters}]


def images(reply: httpx.Response) -> Pixels:
    """The images of a reply, from JSON or binary data, with the layout that the protocol says."""
    assert reply.status_code == 200, reply.text
    length = int(reply.headers.get(LENGTH, len(reply.content)))
    (output,) = json.loads(reply.content[:length])["outputs"]
    assert (output["name"], output["datatype"]) == ("images", "UINT8")
    if LENGTH in reply.headers:
        assert reply.headers["content-type"] == "application/octet-stream"
        assert "data" not in output
        assert output["parameters"] == {"binary_data_size": len(reply.content) - length}
        return np.frombuffer(reply.content[length:], np.uint8).reshape(output["shape"])
    assert reply.headers["content-type"] == "application/json"
    return np.array(output["data"], np.uint8).reshape(output["shape"])


def error(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    content = reply.json()
    assert content.keys() == {"error"}
    message: str = content["error"]
    return message


def binary_body(request: dict[str, Any], *parts: bytes) -> tuple[bytes, dict[str, str]]:
    content = json.dumps(request).encode()
    return content + b"".join(parts), {LENGTH: str(len(content)), "content-type": "application/octet-stream"}


def test_each_row_has_its_own_label_and_seed(run: Run, grey: Path) -> None:
    expected = Generator.open(grey).images(["Bag", "Ankle boot"], [7, 8])

    async def scenario(client: httpx.AsyncClient) -> None:
        for seed in (SEED, tensor("seed", "INT64", [[7], [8]], [2, 1]), {**SEED, "datatype": "UINT64"}):
            for label in (
                LABEL,
                tensor("label", "INT32", [1, 2]),
                tensor("label", "INT64", [[1], [2]], [2, 1]),
            ):
                reply = await infer(client, "grey.by_label", seed, label)
                np.testing.assert_array_equal(images(reply), expected)

    run(scenario)


def test_raw_tensors_are_the_graphs_inputs(run: Run, grey: Path) -> None:
    generator = Generator.open(grey)

    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await infer(client, "grey", LATENT, VECTOR)
        np.testing.assert_array_equal(images(reply), generator.images([1, 2], [7, 8]))
        flat = {**LATENT, "data": [value for row in LATENT["data"] for value in row]}
        np.testing.assert_array_equal(images(await infer(client, "grey", VECTOR, flat)), images(reply))
        mixed = {**VECTOR, "data": [[0, 0.75, 0.25], [1.5, -0.5, 0]]}
        made = images(await infer(client, "grey", LATENT, mixed))
        mix = {"mix": {"Bag": 3, "Ankle boot": 1}, "seed": 7, "format": "npy"}
        expected = np.load(io.BytesIO((await client.post("/v1/images", json=mix)).content))
        np.testing.assert_array_equal(made[:1], expected)

    run(scenario)


def test_truncation_is_each_rows_own(run: Run, grey: Path) -> None:
    generator = Generator.open(grey)
    expected = [generator.images([0], [7], truncation=bound)[0] for bound in (0.1, 2)]

    async def scenario(client: httpx.AsyncClient) -> None:
        seed, label = tensor("seed", "UINT32", [7, 7]), tensor("label", "INT64", [0, 0])
        bounds = tensor("truncation", "FP64", [0.1, 2])
        np.testing.assert_array_equal(
            images(await infer(client, "grey.by_label", seed, label, bounds)), expected
        )

    run(scenario)


def test_binary_data_follows_the_json_in_the_order_of_the_tensors(run: Run, rgb: Path) -> None:
    expected = Generator.open(rgb).images(["dog", "cat"], [7, 2**32 - 1])
    texts = b"".join(struct.pack("<I", len(text)) + text for text in (b"dog", b"cat"))
    seeds = np.array([7, 2**32 - 1], "<u4").tobytes()
    request: dict[str, Any] = {
        "inputs": [
            {
                "name": "label",
                "datatype": "BYTES",
                "shape": [2],
                "parameters": {"binary_data_size": len(texts)},
            },
            tensor("truncation", "FP32", [8, 8]),
            {"name": "seed", "datatype": "UINT32", "shape": [2, 1], "parameters": {"binary_data_size": 8}},
        ],
        "parameters": {"binary_data_output": True, "priority": 1, "my_own": "ignored"},
        "id": "a b",
    }

    async def scenario(client: httpx.AsyncClient) -> None:
        body, headers = binary_body(request, texts, seeds)
        reply = await client.post(url("rgb.by_label"), content=body, headers=headers)
        np.testing.assert_array_equal(images(reply), expected)
        assert json.loads(reply.content[: int(reply.headers[LENGTH])])["id"] == "a b"
        for encoding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
            packed = headers | {"content-encoding": encoding}
            again = await client.post(url("rgb.by_label"), content=pack(body), headers=packed)
            assert again.content == reply.content

    run(scenario)


def test_an_outputs_own_form_goes_before_the_requests(run: Run) -> None:
    cases = [
        (None, None, False),
        (True, None, True),
        (True, False, False),
        (False, True, True),
        (None, True, True),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for whole, own, binary in cases:
            fields: dict[str, Any] = {"outputs": [{"name": "images"}]}
            if whole is not None:
                fields["parameters"] = {"binary_data_output": whole}
            if own is not None:
                fields["outputs"] = asked(binary_data=own)
            reply = await infer(client, "grey.by_label", SEED, LABEL, **fields)
            assert (LENGTH in reply.headers) == binary
            assert images(reply).shape == (2, 14, 14, 1)

    run(scenario)


def test_the_server_and_its_models_describe_themselves(run: Run, grey: Path) -> None:
    version = Artifact.open(grey).manifest.digest[:12]

    async def scenario(client: httpx.AsyncClient) -> None:
        server = (await client.get("/v2")).json()
        assert (server["name"], server["extensions"][0]) == ("mintage", "binary_tensor_data")
        assert (await client.get("/v2/health/live")).json() == {"live": True}
        assert (await client.get("/v2/health/ready")).status_code == 200
        model = (await client.get("/v2/models/grey")).json()
        assert model == {
            "name": "grey",
            "versions": [version],
            "platform": "onnx_onnxv1",
            "inputs": [
                {"name": "latent", "datatype": "FP32", "shape": [-1, 5]},
                {"name": "class_vector", "datatype": "FP32", "shape": [-1, 3]},
            ],
            "outputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 14, 14, 1]}],
        }
        for path in ("grey", f"grey/versions/{version}"):
            assert (await client.get(f"/v2/models/{path}")).json() == model
            assert (await client.get(f"/v2/models/{path}/ready")).json() == {"name": "grey", "ready": True}
            config = (await client.get(f"/v2/models/{path}/config")).json()
            assert (config["max_batch_size"], config["input"][0]["dims"]) == (1024, [5])
        index = (await client.post("/v2/repository/index")).json()
        assert [entry["name"] for entry in index] == ["grey", "grey.by_label", "rgb", "rgb.by_label"]

    run(scenario)


def test_what_metadata_declares_is_accepted(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for name in ("grey", "rgb.by_label"):
            declared = (await client.get(f"/v2/models/{name}")).json()["inputs"]
            ones = [
                {**kind, "shape": [3, *kind["shape"][1:]], "data": [1] * 3 * kind["shape"][1]}
                for kind in declared
            ]
            assert len(images(await infer(client, name, *ones))) == 3

    run(scenario)


def test_a_version_is_the_artifacts_digest_and_others_are_not_there(run: Run, grey: Path) -> None:
    version = Artifact.open(grey).manifest.digest[:12]

    async def scenario(client: httpx.AsyncClient) -> None:
        request = {"inputs": [SEED, LABEL]}
        reply = (await client.post(url("grey.by_label", version), json=request)).json()
        assert (reply["model_name"], reply["model_version"]) == ("grey.by_label", version)
        assert "id" not in reply
        message = error(await client.post(url("grey.by_label", "1"), json=request), 404)
        assert f"no version '1': there is {version}" in message
        error(await client.get("/v2/models/grey/versions/1/ready"), 404)

    run(scenario)


Wrong = tuple[str, str, dict[str, Any]]  # model, what the error says, request


def raw(message: str, *inputs: Tensor, **fields: Any) -> Wrong:
    return "grey", message, {"inputs": inputs, **fields}


def named(message: str, *inputs: Tensor, **fields: Any) -> Wrong:
    return "grey.by_label", message, {"inputs": inputs, **fields}


def without_data(given: Tensor) -> Tensor:
    return {key: value for key, value in given.items() if key != "data"}


WRONG = [
    raw("input latent is missing: required are latent (FP32), class_vector (FP32)"),
    raw("input class_vector is missing", LATENT),
    raw("unknown input 'seed': there are latent, class_vector", SEED),
    raw("input latent is given twice", LATENT, LATENT),
    raw("has the datatype 'FP64': allowed is FP32", {**LATENT, "datatype": "FP64"}),
    raw("shape [2, 4]: allowed is [N, 5]", {**LATENT, "shape": [2, 4]}),
    raw("shape [10]: allowed is [N, 5]", {**LATENT, "shape": [10]}),
    raw("shape []: allowed is [N, 5]", {**LATENT, "shape": []}),
    raw("has 0 rows: allowed are 1 to 100", {**LATENT, "shape": [0, 5], "data": []}),
    raw("has -2 rows: allowed are 1 to 100", {**LATENT, "shape": [-2, 5]}),
    raw("has 101 rows: allowed are 1 to 100", {**LATENT, "shape": [101, 5]}),
    raw("10 values", {**LATENT, "shape": [3, 5]}),
    raw("Expected `int`", {**LATENT, "shape": [2.5, 5]}),
    raw("rows of data differ in length", {**LATENT, "data": [[1, 2], [1, 2, 3]]}),
    raw("rows of data differ in length", {**LATENT, "data": [[1] * 5, 1, 2, 3, 4, 5]}),
    raw("no flat list of FP32 values", {**LATENT, "data": ["1"] * 10}),
    raw("no flat list of FP32 values", {**LATENT, "data": [True] * 10}),
    raw("no flat list of FP32 values", {**LATENT, "data": [[[1] * 5] * 2]}),
    raw("no flat list of FP32 values", {**LATENT, "data": "AAAA"}),
    raw("latent has the value 101: allowed are -100..100", {**LATENT, "data": [101] * 10}, VECTOR),
    raw("latent has the value inf", {**LATENT, "data": [1e300] * 10}, VECTOR),
    raw("class_vector has the value -1000", LATENT, {**VECTOR, "data": [-1000] * 6}),
    raw("give either data or the parameter binary_data_size", without_data(LATENT)),
    raw("there is no shared memory", {**LATENT, "parameters": {"shared_memory_region": "x"}}),
    raw("class_vector has 1 rows, latent has 2", LATENT, tensor("class_vector", "FP32", [1, 0, 0], [1, 3])),
    raw("unknown output 'classes': the only one is images", outputs=[{"name": "classes"}]),
    raw("asked for 2 times", outputs=[{"name": "images"}, {"name": "images"}]),
    raw("classification is not to be had", outputs=asked(classification=3)),
    raw("parameter binary_data is 'yes'", outputs=asked(binary_data="yes")),
    raw("parameter binary_data_output is 1", parameters={"binary_data_output": 1}),
    raw("Expected `str`, got `int` - at `$.id`", id=7),
    named("label is missing: required are seed (UINT32), label (INT64)", SEED),
    named("label 'Hat' is not a class: use 0..2 or one of", SEED, tensor("label", "BYTES", ["Bag", "Hat"])),
    named("label 3 is not a class", SEED, tensor("label", "INT32", [0, 3])),
    named("label -1 is not a class", SEED, tensor("label", "INT64", [-1, 0])),
    named("seed has the value -1: allowed are 0 to 4294967295", tensor("seed", "INT64", [-1, 0]), LABEL),
    named("seed has the value 4294967296", tensor("seed", "UINT64", [2**32, 0]), LABEL),
    named("does not fit into UINT32", tensor("seed", "UINT32", [2**32, 0]), LABEL),
    named("does not fit into INT64", tensor("seed", "INT64", [10**30, 0]), LABEL),
    named("no flat list of UINT32 values", tensor("seed", "UINT32", [0.5, 0]), LABEL),
    named("'FP32': allowed is UINT32 or UINT64", tensor("seed", "FP32", [0, 1]), LABEL),
    named("shape [1, 2]: allowed is [N, 1] or [N]", {**SEED, "shape": [1, 2]}),
    named("truncation has the value 0: allowed are", SEED, LABEL, tensor("truncation", "FP32", [1, 0])),
    named("truncation has 1 rows, seed has 2", SEED, LABEL, tensor("truncation", "FP32", [1])),
    named("parameter timeout is 'long'", SEED, LABEL, parameters={"timeout": "long"}),
]  # fmt: skip


def test_wrong_requests_say_what_is_allowed_and_harm_nobody(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        good = [infer(client, "grey.by_label", SEED, LABEL) for _ in WRONG]
        bad = [client.post(url(model), json=request) for model, _, request in WRONG]
        replies = await asyncio.gather(*(each for pair in zip(bad, good, strict=True) for each in pair))
        for (_, message, _), reply in zip(WRONG, replies[::2], strict=True):
            assert message in error(reply, 400)
        assert {reply.content for reply in replies[1::2]} == {replies[1].content}
        assert replies[1].status_code == 200

    run(scenario, max_images=100)


def binary_input(
    size: object, datatype: str = "FP32", name: str = "latent", shape: tuple[int, ...] = (2, 5)
) -> Tensor:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


MISFITS: list[tuple[Tensor, bytes, str]] = [
    (binary_input(40), b"\0" * 39, "39 bytes follow after the JSON object"),
    (binary_input(40), b"\0" * 41, "1 bytes of binary data belong to no input"),
    (binary_input(-1), b"", "binary_data_size -1"),
    (binary_input("40"), b"\0" * 40, "binary_data_size '40'"),
    (binary_input(True), b"\0", "binary_data_size True"),
    (binary_input(36), b"\0" * 36, "has 9 values"),
    (binary_input(39), b"\0" * 39, "FP32 has 4 bytes a value"),
    (binary_input(40), np.full(10, np.nan, "<f4").tobytes(), "latent has the value nan"),
    (binary_input(40), np.full(10, np.inf, "<f4").tobytes(), "latent has the value inf"),
    ({**LATENT, **binary_input(40)}, b"\0" * 40, "give either data or the parameter"),
    (binary_input(3, "BYTES", "label", (1,)), b"abc", "its length (4 bytes) and then UTF-8"),
    (binary_input(7, "BYTES", "label", (1,)), b"\4\0\0\0abc", "its length (4 bytes) and then UTF-8"),
    (binary_input(5, "BYTES", "label", (1,)), b"\1\0\0\0\xff", "its length (4 bytes) and then UTF-8"),
    (binary_input(4, "BYTES", "label", (1,)), b"\xff\xff\xff\xff", "its length (4 bytes) and then UTF-8"),
    (binary_input(10, "BYTES", "label", (1,)), b"\1\0\0\0a\1\0\0\0b", "has 2 values"),
]


def test_binary_data_that_does_not_fit_is_refused(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for given, content, message in MISFITS:
            raw = given["name"] == "latent"
            body, headers = binary_body({"inputs": [given, VECTOR] if raw else [given]}, content)
            reply = await client.post(url("grey" if raw else "grey.by_label"), content=body, headers=headers)
            assert message in error(reply, 400)

    run(scenario)


def test_bodies_that_are_no_request_are_refused(run: Run) -> None:
    whole = json.dumps({"inputs": [SEED, LABEL]}).encode()
    deep = b'{"inputs": [{"name": "seed", "shape": [1], "datatype": "UINT32", "data": ' + b"[" * 50_000
    cases: list[tuple[int, bytes, dict[str, str]]] = [
        *((400, body, {}) for body in (b"", b"{", b"[]", b"null", b"\xff", b'{"inputs": {}}', b"{}", deep)),
        *(
            (400, whole, {LENGTH: length})
            for length in ("-1", "x", "0", "1", str(len(whole) + 1), "9" * 5000)
        ),
        (400, whole[:-1] + b',"x":NaN}', {}),
        (415, whole, {"content-type": "application/x-www-form-urlencoded"}),
        (415, whole, {"content-encoding": "br"}),
        (400, whole, {"content-encoding": "gzip"}),
        (400, gzip.compress(whole)[:-9], {"content-encoding": "gzip"}),
        (400, gzip.compress(whole) * 2, {"content-encoding": "gzip"}),
        (413, gzip.compress(b" " * 10**6), {"content-encoding": "gzip"}),
        (413, zlib.compress(b" " * 10**6), {"content-encoding": "deflate"}),
        (413, whole + b" " * 200_000, {}),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for status, body, headers in cases:
            assert error(await client.post(url("grey.by_label"), content=body, headers=headers), status)
        assert (await client.post(url("grey.by_label"), content=whole)).status_code == 200

    run(scenario, max_body_bytes=100_000)


def test_replies_too_large_are_refused_before_work_is_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_bodies, "MAX_JSON_VALUES", 300)

    async def scenario(client: httpx.AsyncClient) -> None:
        message = error(await infer(client, "grey.by_label", SEED, LABEL), 400)
        assert "392 values are too many for JSON (at most 300): set the parameter binary_data" in message
        binary = {"parameters": {"binary_data_output": True}}
        assert images(await infer(client, "grey.by_label", SEED, LABEL, **binary)).size == 392
        many = [tensor("seed", "UINT32", [0] * 60), tensor("label", "INT64", [0] * 60)]
        assert "11,760 pixels: allowed are 10,000" in error(
            await infer(client, "grey.by_label", *many, **binary), 400
        )

    run(scenario, max_pixels=10_000)


def test_problems_found_before_the_route_are_told_in_the_protocol_too(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert "grey, rgb, and each of them with .by_label" in error(await client.get("/v2/models/cats"), 404)
        for path in ("/v2/models", "/v2/nothing", "/v2/models/grey/x/y/z", "/v2/"):
            error(await client.get(path), 404)
        reply = await client.get(url("grey"))
        assert "POST" in error(reply, 405)
        assert reply.headers["allow"] == "POST"
        assert (await client.get("/v2x")).headers["content-type"] == "application/problem+json"

    run(scenario)


def test_a_failure_of_our_own_is_told_in_the_protocol_without_its_inside(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr("service.routes.inference.infer_reply", fail)

    async def scenario(client: httpx.AsyncClient) -> None:
        assert "secret" not in error(await infer(client, "grey.by_label", SEED, LABEL), 500)

    run(scenario)


def test_the_requests_own_timeout_is_kept(run: Run) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        reply = await infer(client, "grey.by_label", SEED, LABEL, parameters={"timeout": 1})
        assert "was over before all images were computed" in error(reply, 504)

    run(scenario)


def test_before_the_models_are_warm_nothing_is_ready(models_folder: Path) -> None:
    async def scenario() -> None:
        settings = Settings(models=models_folder, workers=1)
        app = App(Models(settings), nothing_behind, frozenset(), Keys(settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert (await client.get("/v2/health/live")).status_code == 200
            for path in ("/v2/health/ready", "/v2/models/grey", "/v2/models/grey.by_label/ready"):
                error(await client.get(path), 503)
            error(await infer(client, "grey.by_label", SEED, LABEL), 503)

    asyncio.run(scenario())
