"""Ours and its peers side by side: in turns, with ourselves under a second name to show the noise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import WrongAnswer
from benchmarks.machine import manifest
from benchmarks.measuring import Loads, Visit, visit
from benchmarks.mintage import NAME, mintage
from benchmarks.offered import Offered
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import installed
from benchmarks.peers.settings import Encoder
from benchmarks.repeats import Spread, ratio
from benchmarks.results import HOME, Json, write
from benchmarks.servers import Server, ServerError
from benchmarks.tuning import record, tuned
from benchmarks.wrk import WrkError
from generator import Generator

AGAIN = f"{NAME} again"  # the A/A control
CONNECTIONS = (1, 16, 64)
PEAK = 64  # connections at which a server's capacity is taken
OWN_HALF = "half of its own capacity"  # what is offered in an open loop

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """A server under comparison."""

    server: Server
    encoder: Encoder

    @property
    def name(self) -> str:
        return f"{self.server.name}, {self.encoder}" if is_peer(self.server.name) else self.server.name


def entries(
    generator: Generator, peers: Iterable[Peer], encoders: Iterable[Encoder], workers: int | None
) -> list[Entry]:
    """Ours, the peers in each variant, ours again. Raises ResultError, ServerError."""
    model = generator.artifact.path
    of_peers = [
        Entry(peer.server(tuned(peer, str(model), encoder)), encoder)
        for encoder in encoders
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
    encoders: Sequence[Encoder],
    repeats: int,
    seconds: int,
    workers: int | None,
    tell: Tell,
) -> Json:
    """Visits every server once a round, in `repeats` rounds; the result, which is in `file` all the time.

    A server that fails once is left out from then on, and the result says so. Raises ResultError, and
    ServerError for a peer that is not installed.
    """
    contenders = entries(generator, peers, encoders, workers)
    settings = {"encoders": encoders, "repeats": repeats, "seconds": seconds, "workers": workers}
    result: Json = {
        "manifest": manifest(generator.artifact, **settings)
        | {"installed": {peer.name: installed(peer.name) for peer in peers}},
        "tuned": {peer.name: record(peer) for peer in peers},
        "visits": {entry.name: [] for entry in contenders},
        "failed": {},
    }
    for repeat in range(repeats):
        for entry in turn(contenders, repeat, repeats):
            if entry.name in result["failed"]:
                continue
            try:
                seen = visit(entry.server, generator, CONNECTIONS, seconds, offers=_own_half)
            except (ServerError, WrkError, WrongAnswer) as error:
                result["failed"][entry.name] = str(error)
                tell(f"{repeat + 1}/{repeats}  {entry.name}  failed: {error}")
            else:
                result["visits"][entry.name].append(seen.to_json())
                tell(f"{repeat + 1}/{repeats}  {entry.name:18}  {_brief(seen)}")
            write(file, result)
    return result


def turn(contenders: Sequence[Entry], repeat: int, repeats: int) -> list[Entry]:
    """The order of a round: each round begins further on, so that drift favours nobody.

    Ours again, the last contender, comes half a round from ours: next to it, the noise would look smaller.
    """
    *circle, again = contenders
    circle.insert(len(circle) // 2, again)
    start = repeat * max(1, len(circle) // repeats) % len(circle)
    return circle[start:] + circle[:start]


def _own_half(loads: Loads) -> Mapping[str, float]:
    """What a server is offered in an open loop."""
    return {OWN_HALF: loads[PEAK].requests_per_s / 2}


def _brief(seen: Visit) -> str:
    rates = "  ".join(f"{load.requests_per_s:7,.0f}/s" for load in seen.loads.values())
    waits = "  ".join(map(_brief_wait, seen.offered.values()))
    return f"ready {seen.ready_s:4.1f} s  {rates}  {waits}"


def _brief_wait(offered: Offered) -> str:
    p99 = "of too few answers" if offered.p99_ms is None else f"{offered.p99_ms:.1f} ms"
    return f"p99 {p99} at {offered.rate_per_s:,.0f}/s{'' if offered.valid else ' INVALID: the client lagged'}"


def encoders_of(result: Json) -> list[Encoder]:
    """The variants of peers that were compared."""
    encoders: list[Encoder] = result["manifest"]["settings"]["encoders"]
    return encoders


def is_peer(name: str) -> bool:
    return name not in (NAME, AGAIN)


def rates_of(result: Json, name: str, connections: int) -> list[float]:
    """Requests a second of each visit."""
    return [visit["loads"][str(connections)]["requests_per_s"] for visit in result["visits"][name]]


def of_visits(result: Json, name: str, field: str) -> list[float]:
    """A figure that each visit has once."""
    return [visit[field] for visit in result["visits"][name]]


def offered(result: Json, name: str, at: str) -> list[Json]:
    """The open loops of all visits at one of the rates; none where not every visit had it."""
    loops = [visit["offered"].get(at) for visit in result["visits"][name]]
    return loops if all(loops) else []


def complete(result: Json) -> list[str]:
    """The servers that answered rightly on every visit."""
    return [name for name in result["visits"] if name not in result["failed"] and result["visits"][name]]


def against(result: Json, name: str, connections: int) -> Spread:
    """Our requests a second divided by another's, visit by visit; in a run that was broken off, so far."""
    ours, theirs = rates_of(result, NAME, connections), rates_of(result, name, connections)
    both = min(len(ours), len(theirs))
    return ratio(ours[:both], theirs[:both])


def best_peer(result: Json, encoder: Encoder, connections: int) -> str | None:
    """The peer with the most requests a second among those with one encoder."""
    names = [name for name in complete(result) if name.endswith(f", {encoder}")]
    return max(names, key=lambda name: statistics.median(rates_of(result, name, connections)), default=None)
