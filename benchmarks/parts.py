"""What the parts of a request cost: each way of doing it, in one thread, without a server."""

from __future__ import annotations

import io
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from isal import isal_zlib
from PIL import Image

from benchmarks.repeats import Spread, ratio
from generator import Generator
from generator.latents import latents

BODY = b'{"label":7,"seed":42}'
BATCH = 16
ROUNDS_S = 0.05  # of each way in each repeat


@dataclass(frozen=True)
class Way:
    """One way of doing a part; the first of a part is the one that the service takes."""

    part: str
    name: str
    run: Callable[[], object]
    images: int = 1  # for which one run is


class _Request(msgspec.Struct):
    label: int
    seed: int


def ways(generator: Generator) -> list[Way]:
    """All of them, on images of the generator."""
    spec = generator.spec
    image = generator.images([0], [42])[0]
    rows = np.concatenate(
        [np.zeros((len(image), 1), np.uint8), image.reshape(len(image), -1)], axis=1
    ).tobytes()
    picture = Image.fromarray(image.squeeze())
    decode = msgspec.json.Decoder(_Request).decode
    seeds = list(range(BATCH))
    latent, vectors = latents(seeds, spec.latent_dim), spec.class_vectors([0] * BATCH)
    generate = generator.engine.generate

    def pillow(level: int) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()

    def one_by_one() -> list[object]:
        return [latents([seed], spec.latent_dim) for seed in seeds]

    def calls_of_one() -> list[object]:
        return [generate(latent[n : n + 1], vectors[n : n + 1]) for n in range(BATCH)]

    return [
        Way("body to request", "msgspec, into a struct", lambda: decode(BODY)),
        Way("body to request", "json of the standard library", lambda: json.loads(BODY)),
        Way("seeds to latents", f"{BATCH} together", lambda: latents(seeds, spec.latent_dim), BATCH),
        Way("seeds to latents", "one by one", one_by_one, BATCH),
        Way("latents to pixels", f"{BATCH} a call", lambda: generate(latent, vectors), BATCH),
        Way("latents to pixels", "one a call", calls_of_one, BATCH),
        Way("deflate of a PNG", "ISA-L level 0", lambda: isal_zlib.compress(rows, 0)),
        Way("deflate of a PNG", "ISA-L level 1", lambda: isal_zlib.compress(rows, 1)),
        Way("deflate of a PNG", "zlib level 1", lambda: zlib.compress(rows, 1)),
        Way("deflate of a PNG", "zlib level 6", lambda: zlib.compress(rows, 6)),
        Way("deflate of a PNG", "the whole of Pillow's PNG, level 1", lambda: pillow(1)),
        Way("deflate of a PNG", "the whole of Pillow's PNG, level 6", lambda: pillow(6)),
    ]  # fmt: skip


def measure(generator: Generator, repeats: int) -> Iterator[tuple[Way, Spread, Spread, int | None]]:
    """Each way, its microseconds an image, how many times the first way's, and its bytes."""
    every = ways(generator)
    seen: list[list[float]] = [[] for _ in every]
    for _ in range(repeats):
        for way, times in zip(every, seen, strict=True):
            times.append(_microseconds(way))
    first = {way.part: times for way, times in zip(reversed(every), reversed(seen), strict=True)}
    for way, times in zip(every, seen, strict=True):
        made = way.run()
        size = len(made) if isinstance(made, bytes) else None
        yield way, Spread.of(times), ratio(times, first[way.part]), size


def _microseconds(way: Way) -> float:
    """An image, the mean over as many runs as `ROUNDS_S` allows."""
    way.run()
    runs, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < ROUNDS_S:
        way.run()
        runs += 1
    return passed / runs / way.images * 1e6
