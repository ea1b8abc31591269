"""Images with `tritonclient`, unchanged: by class and seed, or latent and class vector, as binary tensors."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException


def tensor(name: str, datatype: str, values: npt.NDArray[Any]) -> triton.InferInput:
    """An input of a request; binary, unless `set_data_from_numpy` is told otherwise."""
    return triton.InferInput(name, list(values.shape), datatype).set_data_from_numpy(values)


def save(images: npt.NDArray[np.uint8], file: Path) -> None:
    """uint8 [N, H, W, C] as one picture, side by side."""
    row = np.concatenate(list(images), axis=1)
    Image.fromarray(row.squeeze(-1) if row.shape[-1] == 1 else row).save(file)
    print(f"{file}: {len(images)} images")


def make_all(client: triton.InferenceServerClient, headers: dict[str, str], out: Path) -> None:
    """Writes by-label.png and mixtures.png into `out`."""
    model = client.get_model_repository_index(headers=headers)[0]["name"].removesuffix(".by_label")

    seeds = np.arange(8, dtype=np.uint32)
    labels = np.array([0, 1] * 4)  # or names: np.array(["Bag", ...], object) and "BYTES"
    inputs = [tensor("seed", "UINT32", seeds), tensor("label", "INT64", labels)]
    images = client.infer(f"{model}.by_label", inputs, headers=headers).as_numpy("images")
    save(images, out / "by-label.png")

    shapes = {of["name"]: of["shape"] for of in client.get_model_metadata(model, headers=headers)["inputs"]}
    mix = np.zeros((8, shapes["class_vector"][1]), np.float32)
    mix[:, 0], mix[:, 1] = np.linspace(1, 0, 8), np.linspace(0, 1, 8)  # from class 0 to class 1
    latent = np.random.default_rng(7).standard_normal((1, shapes["latent"][1]), np.float32)
    inputs = [tensor("latent", "FP32", latent.repeat(8, axis=0)), tensor("class_vector", "FP32", mix)]
    images = client.infer(model, inputs, headers=headers).as_numpy("images")
    save(images, out / "mixtures.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("EXAMPLES_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    headers = {"X-API-Key": os.environ.get("EXAMPLES_KEY", "")}
    try:
        with triton.InferenceServerClient(options.url.removeprefix("http://")) as client:
            make_all(client, headers, options.out)
    except InferenceServerException as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(
            f"no server answers at {options.url} ({type(error).__name__}): "
            "start one with make serve, or name another with --url http://HOST:PORT"
        ) from None


if __name__ == "__main__":
    main()
