"""Ours and its peers side by side: in turns, with ourselves under a second name to show the noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.answers import WrongAnswer
from benchmarks.machine import manifest
from benchmarks.measuring import Visit, visit
from benchmarks.mintage import NAME, mintage
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import installed
from benchmarks.peers.settings import Encoder
from benchmarks.repeats import Spread, ratio
from benchmarks.results import HOME, Json, write
from benchmarks.servers import Server, ServerError
from benchmarks.tuning import ENCODERS, tuned
from benchmarks.wrk import WrkError
from generator import Generator

AGAIN = f"{NAME} again"  # the A/A control
CONNECTIONS = (1, 16, 64)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """A server under comparison."""

    server: Server
    encoder: Encoder

    @property
    def name(self) -> str:
        return (
            self.server.name if self.server.name in (NAME, AGAIN) else f"{self.server.name}, {self.encoder}"
        )


def entries(generator: Generator, peers: Iterable[Peer], workers: int | None) -> list[Entry]:
    """Ours, the peers with our encoder and with their own, ours again. Raises ResultError, ServerError."""
    model = generator.artifact.path
    of_peers = [
        Entry(peer.server(tuned(peer, str(model), encoder)), encoder)
        for encoder in ENCODERS
        for peer in peers
    ]
    return [
        Entry(mintage(model, HOME, workers=workers), "ours"),
        *of_peers,
        Entry(mintage(model, HOME, name=AGAIN, workers=workers), "ours"),
    ]


def compare(
    generator: Generator,
    peers: list[Peer],
    file: Path,
    *,
    repeats: int,
    seconds: int,
    workers: int | None,
    tell: Tell,
) -> Json:
    """Visits every server `repeats` times, A B C A B C; the result, which is in `file` all the time.

    A server that fails once is left out from then on, and the result says so. Raises ResultError, and
    ServerError for a peer that is not installed.
    """
    contenders = entries(generator, peers, workers)
    settings = {peer.name: {e: asdict(tuned(peer, "", e)) for e in ENCODERS} for peer in peers}
    result: Json = {
        "manifest": manifest(
            generator.artifact, repeats=repeats, seconds=seconds, workers=workers, peers=settings
        )
        | {"installed": {peer.name: installed(peer.name) for peer in peers}},
        "visits": {entry.name: [] for entry in contenders},
        "failed": {},
    }
    for repeat in range(repeats):
        for entry in contenders:
            if entry.name in result["failed"]:
                continue
            try:
                seen = visit(entry.server, generator, CONNECTIONS, seconds)
            except (ServerError, WrkError, WrongAnswer) as error:
                result["failed"][entry.name] = str(error)
                tell(f"{repeat + 1}/{repeats}  {entry.name}  failed: {error}")
            else:
                result["visits"][entry.name].append(seen.to_json())
                tell(f"{repeat + 1}/{repeats}  {entry.name:18}  {_brief(seen)}")
            write(file, result)
    return result


def _brief(seen: Visit) -> str:
    rates = "  ".join(f"{load.requests_per_s:7,.0f}/s" for load in seen.loads.values())
    return f"ready {seen.ready_s:4.1f} s  {rates}"


def rates(result: Json, name: str, connections: int) -> list[float]:
    """Requests a second of each visit."""
    return [visit["loads"][str(connections)]["requests_per_s"] for visit in result["visits"][name]]


def spread(result: Json, name: str, connections: int, field: str) -> Spread:
    """A figure of wrk's over the visits."""
    loads = [visit["loads"][str(connections)] for visit in result["visits"][name]]
    return Spread.of([load[field] for load in loads])


def complete(result: Json) -> list[str]:
    """The servers that answered rightly on every visit."""
    return [name for name in result["visits"] if name not in result["failed"] and result["visits"][name]]


def against(result: Json, name: str, connections: int) -> Spread:
    """Our requests a second divided by another's, visit by visit."""
    return ratio(rates(result, NAME, connections), rates(result, name, connections))


def best_peer(result: Json, encoder: Encoder, connections: int) -> str | None:
    """The peer with the most requests a second among those with one encoder."""
    names = [name for name in complete(result) if name.endswith(f", {encoder}")]
    return max(names, key=lambda name: statistics.median(rates(result, name, connections)), default=None)
