"""A morph through several classes and back, as a GIF that loops; written while the server makes it.

For instance: python examples/morph.py Sneaker "Ankle boot" Bag
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import requests

HEADERS = {"X-API-Key": os.environ.get("EXAMPLES_KEY", "")}
FRAMES, FPS = 30, 30  # from class to class, and a second


def told(reply: requests.Response) -> requests.Response:
    """The reply; one that is a refusal ends the program with the server's own words."""
    if not reply.ok:
        raise SystemExit(f"{reply.status_code}: {reply.json()['detail']}")
    return reply


def classes(url: str) -> list[str]:
    """Names of the default model's classes."""
    models = told(requests.get(f"{url}/v1/models", headers=HEADERS, timeout=60)).json()["data"]
    names: list[str] = next(model for model in models if model["default"])["manifest"]["spec"]["class_names"]
    return names


def film(url: str, labels: list[str], seed: int, file: Path) -> None:
    """Writes the morph into `file`, a GIF."""
    keyframes = [{"label": label, "seed": seed + place} for place, label in enumerate(labels)]
    shown = {"frames": FRAMES * len(labels), "loop": True, "easing": "ease-in-out", "fps": FPS, "scale": 4}
    wanted: dict[str, Any] = {"keyframes": keyframes, "format": "gif", **shown}
    address = f"{url}/v1/interpolations"
    reply = told(requests.post(address, json=wanted, headers=HEADERS, stream=True, timeout=60))
    with file.open("wb") as gif:
        for part in reply.iter_content(64 * 1024):  # frames come as they are made: nobody holds them all
            gif.write(part)
    print(f"{file}: {shown['frames']} frames, {file.stat().st_size:,} bytes")
    print(f"the classes themselves are frames {reply.headers['X-Keyframes']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("labels", nargs="*", metavar="CLASS", help="at least two; all of them if left out")
    parser.add_argument("--url", default=os.environ.get("EXAMPLES_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    parser.add_argument("--seed", type=int, default=1, help="of the first keyframe; the others' follow")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    try:
        film(options.url, options.labels or classes(options.url), options.seed, options.out / "morph.gif")
    except requests.RequestException as error:
        raise SystemExit(
            f"no server answers at {options.url} ({type(error).__name__}): "
            "start one with make serve, or name another with --url http://HOST:PORT"
        ) from None


if __name__ == "__main__":
    main()
