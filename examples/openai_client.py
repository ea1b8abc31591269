"""Images with the `openai` package, unchanged: the prompt is the name of a class."""

from __future__ import annotations

import argparse
import base64
import os
from pathlib import Path
from typing import Any

import openai


def make_all(client: openai.OpenAI, out: Path) -> None:
    """Three images of the last class, a link to a fourth, and what is said of a class that is not there."""
    model = next(iter(client.models.list()))
    manifest: Any = model.to_dict()["manifest"]  # more than the package knows of a model
    spec = manifest["spec"]
    prompt, size = spec["class_names"][-1], spec["image_size"]

    made = client.images.generate(
        model=model.id, prompt=prompt, n=3, size=f"{8 * size}x{8 * size}", extra_body={"seed": 7}
    )
    for image in made.data or []:
        file = out / f"{spec['slugs'][-1]}-{image.to_dict()['seed']}.png"
        file.write_bytes(base64.b64decode(image.b64_json or ""))
        print(f"{prompt}: {file}")

    linked = client.images.generate(model=model.id, prompt=prompt, response_format="url")
    print(f"{prompt}: {(linked.data or [])[0].url}")

    try:
        client.images.generate(model=model.id, prompt="an astronaut riding a horse")
    except openai.BadRequestError as error:
        print(f"refused: {words_of(error)}")


def words_of(error: openai.APIStatusError) -> str:
    """The server's own."""
    return str(error.body.get("message", error) if isinstance(error.body, dict) else error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("EXAMPLES_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    key = os.environ.get("EXAMPLES_KEY", "unused")
    try:
        with openai.OpenAI(base_url=f"{options.url}/v1", api_key=key) as client:
            make_all(client, options.out)
    except openai.APIConnectionError as error:
        raise SystemExit(
            f"no server answers at {options.url} ({type(error).__name__}): "
            "start one with make serve, or name another with --url http://HOST:PORT"
        ) from None
    except openai.APIStatusError as error:
        raise SystemExit(f"{error.status_code}: {words_of(error)}") from None


if __name__ == "__main__":
    main()
