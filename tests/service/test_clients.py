"""The official clients of other protocols, unchanged, against a real server: tritonclient and openai."""

from __future__ import annotations

import base64
import gc
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

from generator.artifact import Artifact
from generator.latents import latents
from generator.pixels import Pixels
from tests.service.test_server import serving

# tritonclient leaves sockets of concurrent requests to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module")
def server(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("home"), models=models_folder, max_images=100) as (url, _):
        yield url


@pytest.fixture
def inference(server: str) -> Iterator[Any]:
    with triton.InferenceServerClient(server.removeprefix("http://"), concurrency=8) as client:
        yield client
    gc.collect()  # what it left open is closed here, where the warning about it is ignored


@pytest.fixture
def images_api(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="unused", max_retries=0) as client:
        yield client


def posted(server: str, **fields: Any) -> Pixels:
    """The pixels that POST /v1/images makes, uint8 [N, H, W, C]."""
    reply = httpx.post(f"{server}/v1/images", json={**fields, "format": "npy"})
    assert reply.status_code == 200, reply.text
    images: Pixels = np.load(io.BytesIO(reply.content), allow_pickle=False)
    return images


def tensor(name: str, datatype: str, values: Any, binary: bool = True) -> Any:
    given = triton.InferInput(name, list(values.shape), datatype)
    return given.set_data_from_numpy(values, binary_data=binary)


def by_label(seeds: list[int], labels: list[str], binary: bool = True) -> list[Any]:
    return [
        tensor("seed", "UINT32", np.array(seeds, np.uint32), binary),
        tensor("label", "BYTES", np.array(labels, object)[:, None], binary),
    ]


def test_tritonclient_finds_the_server_and_its_models(inference: Any, grey: Path) -> None:
    version = Artifact.open(grey).manifest.digest[:12]
    assert inference.is_server_live()
    assert inference.is_server_ready()
    for name in ("grey", "grey.by_label"):
        assert inference.is_model_ready(name)
        assert inference.is_model_ready(name, version)
        assert inference.get_model_metadata(name, version)["versions"] == [version]
        assert inference.get_model_config(name)["max_batch_size"] == 100
    assert not inference.is_model_ready("grey", "1")
    assert not inference.is_model_ready("none")
    assert "binary_tensor_data" in inference.get_server_metadata()["extensions"]
    assert len(inference.get_model_repository_index()) == 4


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_the_pixels_of_the_other_routes(inference: Any, server: str, binary: bool) -> None:
    output = [triton.InferRequestedOutput("images", binary_data=binary)]
    expected = np.concatenate([posted(server, label="Bag", seed=7), posted(server, label=2, seed=8)])

    result = inference.infer(
        "grey.by_label", by_label([7, 8], ["Bag", "ankle-boot"], binary), outputs=output, request_id="r 7"
    )
    np.testing.assert_array_equal(result.as_numpy("images"), expected)
    assert result.as_numpy("images").dtype == np.uint8
    assert result.get_response()["id"] == "r 7"

    raw = [
        tensor("latent", "FP32", latents([7, 8], 5), binary),
        tensor("class_vector", "FP32", np.eye(3, dtype=np.float32)[[1, 2]], binary),
    ]
    np.testing.assert_array_equal(inference.infer("grey", raw, outputs=output).as_numpy("images"), expected)

    bounded = [
        *by_label([7, 8], ["Bag", "Bag"], binary),
        tensor("truncation", "FP32", np.array([0.5, 0.5], np.float32), binary),
    ]
    np.testing.assert_array_equal(
        inference.infer("grey.by_label", bounded, outputs=output).as_numpy("images"),
        posted(server, label="Bag", seed=7, n=2, truncation=0.5),
    )


def test_tritonclients_compressed_requests_are_read(inference: Any, server: str) -> None:
    for algorithm in ("gzip", "deflate"):
        result = inference.infer(
            "rgb.by_label", by_label([7], ["dog"]), request_compression_algorithm=algorithm
        )
        expected = posted(server, model="rgb", label="dog", seed=7)
        np.testing.assert_array_equal(result.as_numpy("images"), expected)


def test_concurrent_inferences_keep_their_ids_and_their_pixels(inference: Any, server: str) -> None:
    expected = posted(server, label="Bag", seed=0, n=60)
    calls = []
    for seed in range(60):
        given = by_label([seed], ["Bag"], binary=seed % 2 == 0)
        good = inference.async_infer("grey.by_label", given, request_id=f"seed {seed}")
        calls.append((good, inference.async_infer("grey.by_label", by_label([seed], ["Hat"]))))
    # In the order of the calls: a result that is not read keeps its connection.
    for seed, (good, bad) in enumerate(calls):
        result = good.get_result()
        assert result.get_response()["id"] == f"seed {seed}"
        np.testing.assert_array_equal(result.as_numpy("images")[0], expected[seed])
        with pytest.raises(InferenceServerException, match="label 'Hat' is not a class"):
            bad.get_result()


def test_tritonclient_raises_what_the_server_says(inference: Any) -> None:
    shape = tensor("latent", "FP32", np.zeros((1, 4), np.float32))
    vector = tensor("class_vector", "FP32", np.zeros((1, 3), np.float32))
    nan = tensor("latent", "FP32", np.full((1, 5), np.nan, np.float32))
    many = by_label([0] * 101, ["Bag"] * 101)
    cases: list[tuple[str, str, str, list[Any]]] = [
        ("none", "404", "model 'none' is not served here", many),
        ("grey", "400", "shape [1, 4]: allowed is [N, 5]", [shape, vector]),
        ("grey", "400", "latent has the value nan", [nan, vector]),
        ("grey", "400", "input latent is missing", [vector]),
        ("grey.by_label", "400", "101 rows: allowed are 1 to 100", many),
    ]
    for model, status, message, given in cases:
        with pytest.raises(InferenceServerException) as caught:
            inference.infer(model, given)
        assert message in caught.value.message()
        assert caught.value.status() == status
    with pytest.raises(InferenceServerException, match="was over before all images were computed"):
        inference.infer("grey.by_label", by_label([0], ["Bag"]), timeout=1)
    with pytest.raises(InferenceServerException, match="unknown output 'x'"):
        inference.infer("grey.by_label", by_label([0], ["Bag"]), outputs=[triton.InferRequestedOutput("x")])


def opened(content: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(content)))[..., None]


def test_openai_generates_the_pixels_of_the_other_routes(images_api: openai.OpenAI, server: str) -> None:
    expected = posted(server, label="Bag", seed=7, n=3, scale=8)
    made = images_api.images.generate(model="grey", prompt="bag", n=3, size="112x112", extra_body={"seed": 7})
    assert made.data is not None
    pictures = [opened(base64.b64decode(image.b64_json or "")) for image in made.data]
    np.testing.assert_array_equal(pictures, expected)
    assert made.size == "112x112"

    linked = images_api.images.generate(
        model="grey", prompt="bag", n=3, size="112x112", response_format="url", extra_body={"seed": 7}
    )
    assert linked.data is not None
    fetched = [httpx.get(image.url or "") for image in linked.data]
    np.testing.assert_array_equal([opened(reply.content) for reply in fetched], expected)
    assert "immutable" in fetched[0].headers["cache-control"]

    (drawn,) = images_api.images.generate(model="grey", prompt="bag").data or []
    seed = (drawn.model_extra or {})["seed"]
    np.testing.assert_array_equal(
        opened(base64.b64decode(drawn.b64_json or "")), posted(server, label="Bag", seed=seed)[0]
    )


def test_openai_raises_its_own_exceptions(images_api: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Say one of T-shirt/top, Bag, Ankle boot") as caught:
        images_api.images.generate(model="grey", prompt="a red bag on a table")
    assert (caught.value.param, caught.value.type) == ("prompt", "invalid_request_error")
    with pytest.raises(openai.BadRequestError, match="such as 252x252 and 266x266"):
        images_api.images.generate(model="grey", prompt="bag", size="256x256")
    with pytest.raises(openai.NotFoundError, match="'dall-e-3' is not served here") as missing:
        images_api.images.generate(model="dall-e-3", prompt="bag")
    assert missing.value.code == "model_not_found"


def test_openai_lists_and_retrieves_the_models(images_api: openai.OpenAI) -> None:
    assert [model.id for model in images_api.models.list()] == ["grey", "rgb"]
    model = images_api.models.retrieve("rgb")
    assert (model.id, model.object, model.owned_by) == ("rgb", "model", "mintage")
    with pytest.raises(openai.NotFoundError):
        images_api.models.retrieve("none")
