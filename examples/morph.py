"""A morph through several classes and back, as a GIF that loops; written while the server makes it.

For instance: python examples/morph.py Sneaker "Ankle boot" Bag
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import requests

HEADERS = {"X-API-Key": os.environ.get("MINTAGE_KEY", "")}


def classes(url: str) -> list[str]:
    """Names of the default model's classes."""
    models = requests.get(f"{url}/v1/models", headers=HEADERS, timeout=60).json()["data"]
    names: list[str] = next(model for model in models if model["default"])["manifest"]["spec"]["class_names"]
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", nargs="*", metavar="CLASS", help="at least two; all of them if left out")
    parser.add_argument("--url", default=os.environ.get("MINTAGE_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    parser.add_argument("--seed", type=int, default=1, help="of the first keyframe; the others' follow")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    labels = options.labels or classes(options.url)
    keyframes = [{"label": label, "seed": options.seed + place} for place, label in enumerate(labels)]
    film = {"frames": 30 * len(keyframes), "loop": True, "easing": "ease-in-out", "fps": 30, "scale": 4}
    wanted: dict[str, Any] = {"keyframes": keyframes, "format": "gif", **film}
    reply = requests.post(
        f"{options.url}/v1/interpolations", json=wanted, headers=HEADERS, stream=True, timeout=60
    )
    if not reply.ok:
        raise SystemExit(f"{reply.status_code}: {reply.json()['detail']}")
    file = options.out / "morph.gif"
    with file.open("wb") as gif:
        for part in reply.iter_content(64 * 1024):  # frames come as they are made: nobody holds them all
            gif.write(part)
    print(f"{file}: {film['frames']} frames, {file.stat().st_size:,} bytes")
    print(f"the classes themselves are frames {reply.headers['X-Keyframes']}")


if __name__ == "__main__":
    main()
