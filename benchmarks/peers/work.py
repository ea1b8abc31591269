"""What every peer does with a batch of requests: latents, one engine call, a PNG each.

As shipped, peers are what their users would write: Pillow, and onnxruntime with the exported graph. With our
encoder, their PNGs are ours and nothing else. With our engine, they get its graph for CPUs and its session's
options too, and differ from our service only in how requests reach the engine and answers leave it. Latents
are ours in all.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pkgutil import resolve_name

from benchmarks.peers.settings import PeerSettings
from benchmarks.plain_engine import plain
from generator import Generator
from generator.artifact import Artifact
from generator.pixels import Pixels, to_pillow

Encode = Callable[[Pixels, str, str, int], bytes]  # image, model, label, seed


class Work:
    """A generator and an encoder; used by one thread at a time, or by several where the peer does so."""

    def __init__(self, settings: PeerSettings) -> None:
        self._generator = (
            Generator.open(settings.model, settings.threads)
            if settings.encoder == "ours"
            else plain(Artifact.open(settings.model), settings.threads)
        )
        self._encode: Encode = pillow_png if settings.encoder == "shipped" else _our_encode()
        self._model = self._generator.artifact.manifest.id
        self.pngs(range(1), range(1))  # warm before the peer says that it is ready

    def pngs(self, labels: Sequence[int], seeds: Sequence[int]) -> list[bytes]:
        """One PNG for each class index and seed; the bytes are our service's where the encoder is."""
        names = self._generator.spec.class_names
        images = self._generator.images(labels, seeds)  # [N, H, W, C]
        return [
            self._encode(image, self._model, names[label], seed)
            for image, label, seed in zip(images, labels, seeds, strict=True)
        ]


def _our_encode() -> Encode:
    """Found by name while a peer runs: it stands in the place of our service and borrows its encoder; the
    benchmarks themselves know nothing of the service."""
    png: Callable[[Pixels, bytes], bytes] = resolve_name("service.encoding:png")
    recipe: Callable[[str, str, int], bytes] = resolve_name("service.recipes:seed_recipe")
    return lambda image, model, label, seed: png(image, recipe(model, label, seed))


def pillow_png(image: Pixels, model: str, label: str, seed: int) -> bytes:
    """uint8 [H, W, 1 or 3] -> a PNG by Pillow with its default settings: zlib's level 6, chosen filters."""
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, "PNG")
    return buffer.getvalue()
