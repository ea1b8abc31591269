"""What is counted: ways of a request through the service, parts of it, and a loop to hold them against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.guard.counting import REFERENCE
from benchmarks.guard.rig import Rig
from generator.latents import latents
from service.encoding import png
from service.recipes import Recipe
from service.work import WorkItem

GROUP = 16  # requests at a time, as many as the service's batches take
FIRST_SEED = 1_000_000  # all seeds have as many digits, so that all heads are the same

Run = Callable[[], object]
Prepare = Callable[[int, int], Run]  # the number of the first, how many -> what does them


def workloads(model: Path) -> dict[str, Prepare]:
    """All, by name. Preparing is not counted, running is. Raises ArtifactError."""
    return {
        REFERENCE: lambda first, count: lambda: reference_loop(count),
        "short way, 16 at a time": _requests(Rig(model, GROUP)),
        "short way, one at a time": _requests(Rig(model, 1)),
        "general way, 16 at a time": _requests(Rig(model, GROUP), "x-general: yes\r\n"),
        **_parts(Rig(model, 1)),
    }


def _requests(rig: Rig, header: str = "") -> Prepare:
    """Requests for one PNG each; `header` is one that the short way does not know."""
    num_classes = next(iter(rig.models)).spec.num_classes

    def prepare(first: int, count: int) -> Run:
        numbers = range(first, first + count)
        requests = [request(number % num_classes, FIRST_SEED + number, header) for number in numbers]
        return lambda: rig.answer(requests)

    return prepare


def request(label: int, seed: int, header: str = "") -> bytes:
    """A request as HTTP clients send it."""
    body = f'{{"label":{label},"seed":{seed}}}'
    return (
        "POST /v1/images HTTP/1.1\r\nhost: 127.0.0.1:3000\r\nuser-agent: guard\r\naccept: */*\r\n"
        f"content-type: application/json\r\n{header}content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _parts(rig: Rig) -> dict[str, Prepare]:
    """An image's bytes, and the latent of a seed that comes alone."""
    served = next(iter(rig.models))
    spec = served.spec
    image = np.zeros((spec.image_size, spec.image_size, spec.channels), np.uint8)
    recipe = Recipe(served.id, spec.class_names, WorkItem(0, (FIRST_SEED,)))

    def encoded(first: int, count: int) -> Run:
        return lambda: [png(image, recipe.image(0)) for _ in range(count)]

    def drawn(first: int, count: int) -> Run:
        seeds = range(FIRST_SEED + first, FIRST_SEED + first + count)
        return lambda: [latents([seed], spec.latent_dim, None, spec.noise) for seed in seeds]

    return {"pixels to PNG": encoded, "a lone seed to its latent": drawn}


class _Entry:
    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value


def reference_loop(rounds: int) -> int:
    """Plain Python, the same for ever: calls, attributes, dictionaries, lists, bytes and text."""
    total = 0
    for number in range(rounds):
        entries = [_Entry(f"name-{place}", number + place) for place in range(16)]
        by_name = {entry.name: entry.value for entry in entries}
        text = b"".join(b"%b: %d\r\n" % (name.encode(), value) for name, value in by_name.items())
        total += len(text) + sum(sorted(by_name.values(), reverse=True)[:4])
    return total
