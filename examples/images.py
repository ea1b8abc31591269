"""Images over HTTP with requests: one, a batch, a link for ever, and thousands as a training set."""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


def connected() -> requests.Session:
    """A session that, asked to come back later (429, 503), waits for as long as `Retry-After` says."""
    session = requests.Session()
    patient = HTTPAdapter(max_retries=Retry(20, connect=0, allowed_methods=None, raise_on_status=False))
    session.mount("http://", patient)
    session.mount("https://", patient)
    if key := os.environ.get("EXAMPLES_KEY"):
        session.headers["X-API-Key"] = key
    return session


def made(session: requests.Session, url: str, **wanted: Any) -> requests.Response:
    """The reply to a request for images; one that is refused ends the program with the server's own words."""
    reply = session.post(f"{url}/v1/images", json=wanted, timeout=60)
    if not reply.ok:
        raise SystemExit(f"{reply.status_code}: {reply.json()['detail']}")
    return reply


def make_all(url: str, out: Path, each: int) -> None:
    """Writes one.png and many.npz, with so many images of each class, into `out`."""
    with connected() as session:
        one = made(session, url, label=0, seed=7, scale=8)
        (out / "one.png").write_bytes(one.content)
        print(f"{out}/one.png: seed {one.headers['X-Seed']} of {one.headers['X-Model']}, whoever asks")

        link = f"{url}/v1/images/{one.headers['X-Model']}/0/7.png?scale=8"
        same = session.get(link, timeout=60).content == one.content
        print(f"{link} {'is' if same else 'is NOT'} the same file")

        batch = made(session, url, label=0, seed=0, n=64, format="npy")
        images = np.load(io.BytesIO(batch.content))
        print(f"a batch: {images.dtype} {images.shape}, mean {images.mean():.1f}")

        models = session.get(f"{url}/v1/models", timeout=60).json()["data"]
        names = next(model for model in models if model["default"])["manifest"]["spec"]["class_names"]
        parts = []
        for label in range(len(names)):
            reply = made(session, url, label=label, seed=0, n=each, format="npy")
            parts.append(np.load(io.BytesIO(reply.content)))
        images, labels = np.concatenate(parts), np.repeat(np.arange(len(names)), each)
        np.savez_compressed(out / "many.npz", images=images, labels=labels, class_names=names)
        print(
            f"{out}/many.npz: {len(labels):,} images of {len(names)} classes, for python -m training --data"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("EXAMPLES_URL", "http://localhost:3000"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    parser.add_argument("--each", type=int, default=1000, help="images of each class in the training set")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    try:
        make_all(options.url, options.out, options.each)
    except requests.RequestException as error:
        raise SystemExit(
            f"no server answers at {options.url} ({type(error).__name__}): "
            "start one with make serve, or name another with --url http://HOST:PORT"
        ) from None


if __name__ == "__main__":
    main()
