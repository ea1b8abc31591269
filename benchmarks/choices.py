"""What each choice in the design of the service brings: as it is, and with one choice undone, in turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.measuring import visit
from benchmarks.mintage import mintage
from benchmarks.questions import ONE_PNG, Question, read_png
from benchmarks.repeats import Spread, ratio
from benchmarks.results import HOME, Json
from benchmarks.servers import Server
from generator import Generator

CONNECTIONS = (1, 64)
THROUGH_BENTOML = Question("/generate", '{"label":%d,"seed":%d}', read_png)


@dataclass(frozen=True)
class Variant:
    """The service with something about it changed."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)  # MINTAGE_* variables without the prefix
    question: Question = ONE_PNG

    def server(self, model: Path) -> Server:
        server = mintage(model, HOME, name=self.name, question=self.question)
        settings = {f"MINTAGE_{key}": value for key, value in self.settings.items()}
        return replace(server, environment={**server.environment, **settings})


AS_IT_IS = Variant("as it is")
VARIANTS = (
    AS_IT_IS,
    Variant("as it is, again"),
    Variant("engine calls always on a thread", {"SHORT_CALL_MS": "0"}),
    Variant("batches of up to 2 images", {"MAX_BATCH": "2"}),
    Variant("batches of up to 64 images", {"MAX_BATCH": "64"}),
    Variant("one worker, an engine of all cores", {"WORKERS": "1"}),
    Variant("each worker's engine has all cores", {"THREADS": str(os.cpu_count())}),
    Variant("access log to a file", {"ACCESS_LOG": "/dev/null"}),
    Variant("through BentoML's own route", question=THROUGH_BENTOML),
)


def compare(
    generator: Generator, *, repeats: int, seconds: int, tell: Callable[[str], None]
) -> Iterator[Json]:
    """Visits every variant `repeats` times, A B C A B C; the result after each round."""
    visits: dict[str, list[Json]] = {variant.name: [] for variant in VARIANTS}
    for repeat in range(repeats):
        for variant in VARIANTS:
            seen = visit(variant.server(generator.artifact.path), generator, CONNECTIONS, seconds)
            visits[variant.name].append(seen.to_json())
            rates = "  ".join(f"{load.requests_per_s:7,.0f}/s" for load in seen.loads.values())
            tell(f"{repeat + 1}/{repeats}  {variant.name:36}  {rates}")
        yield {"variants": visits}


def rate(result: Json, name: str, connections: int) -> tuple[Spread, Spread]:
    """Requests a second of a variant, and their ratio to the service as it is, visit by visit."""

    def rates(of: str) -> list[float]:
        seen = result["variants"][of]
        return [one["loads"][str(connections)]["requests_per_s"] for one in seen]

    return Spread.of(rates(name)), ratio(rates(name), rates(AS_IT_IS.name))
