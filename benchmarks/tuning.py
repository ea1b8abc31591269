"""Each peer at its best: the same small search for all, most requests a second at 64 connections wins.

Every way to run a peer is tried once, for half as long; the two best are tried again, in turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import results
from benchmarks.answers import WrongAnswer
from benchmarks.machine import manifest
from benchmarks.measuring import visit
from benchmarks.peers.catalogue import CATALOGUE, Peer
from benchmarks.peers.settings import Encoder, PeerSettings
from benchmarks.results import Json, ResultError, read, write
from benchmarks.servers import ServerError
from benchmarks.wrk import WrkError
from generator import Generator

CONNECTIONS = 64
FINALISTS = 2
WARM_UP_S = 1
SEARCHED: tuple[Encoder, ...] = ("ours", "shipped")  # each with an engine of its own, which decides

Tell = Callable[[str], None]
Rate = Callable[[PeerSettings, int], float]  # a way and for how many seconds -> requests a second


@dataclass(frozen=True)
class Tried:
    """A way to run a peer and the requests a second that it answered."""

    way: PeerSettings
    first_per_s: float
    final_per_s: tuple[float, ...]  # none where it was not among the best at first


def tune(generator: Generator, peers: Iterable[Peer], *, repeats: int, seconds: int, tell: Tell) -> None:
    """Searches, and remembers each peer's search in a file of its own, which stays until it is tuned again.

    Raises ServerError for a peer that never works.
    """
    for peer in peers:
        found: Json = {"manifest": manifest(generator.artifact, repeats=repeats, seconds=seconds)}
        rate = _rate_of(peer, generator, tell)
        for encoder in SEARCHED:
            ways = peer.ways(PeerSettings(str(generator.artifact.path), encoder))
            found[encoder] = _to_json(peer, search(ways, rate, repeats=repeats, seconds=seconds))
        write(_file(peer), found)


def search(ways: Iterable[PeerSettings], rate: Rate, *, repeats: int, seconds: int) -> list[Tried]:
    """Every way once for half of `seconds`, the best two `repeats` times in turns for all of them."""
    first = {way: rate(way, max(1, seconds // 2)) for way in ways}
    finalists = sorted(first, key=first.__getitem__, reverse=True)[:FINALISTS]
    rounds = [[rate(way, seconds) for way in finalists] for _ in range(repeats)]
    final = dict(zip(finalists, zip(*rounds, strict=True), strict=True))
    return [Tried(way, first[way], final.get(way, ())) for way in first]


def _rate_of(peer: Peer, generator: Generator, tell: Tell) -> Rate:
    """Visits the peer; a way that fails has a rate of 0 and does not break off the search."""

    def rate(way: PeerSettings, seconds: int) -> float:
        try:
            seen = visit(peer.server(way), generator, [CONNECTIONS], seconds, warm_up_s=WARM_UP_S)
        except (ServerError, WrkError, WrongAnswer) as error:
            tell(f"{peer.name} failed: {error}")
            return 0.0
        per_s = seen.loads[CONNECTIONS].requests_per_s
        tell(f"{peer.name}, {way.encoder}  {seconds} s  {_settings(peer, way)}  {per_s:,.0f}/s")
        return per_s

    return rate


def _to_json(peer: Peer, tries: list[Tried]) -> Json:
    """Raises ServerError where nothing worked."""
    best = max(tries, key=lambda tried: statistics.median(tried.final_per_s or (0.0,)))
    if not any(best.final_per_s):
        raise ServerError(f"{peer.name}: no way to run it works; runs/benchmarks/logs may say why")
    return {
        "best": _settings(peer, best.way),
        "tried": [
            {
                "settings": _settings(peer, tried.way),
                "first_per_s": tried.first_per_s,
                "final_per_s": list(tried.final_per_s),
            }
            for tried in tries
        ],
    }


def _settings(peer: Peer, way: PeerSettings) -> Json:
    """What tuning may choose, without what all ways share."""
    fields = sorted({name for axis in peer.axes for choice in axis for name in choice})
    return {name: getattr(way, name) for name in fields}


def _file(peer: Peer) -> Path:
    return results.TUNED / f"{peer.name}.json"


def record(peer: Peer) -> Json:
    """A peer's search: its manifest, and for each encoder all that was tried. Raises ResultError."""
    try:
        return read(_file(peer))
    except OSError:
        raise ResultError(f"{peer.name} is not tuned: python -m benchmarks tune --only {peer.name}") from None


def tuned(peer: Peer, model: str, encoder: Encoder) -> PeerSettings:
    """A peer's best settings; with our encoder alone, those for the same engine as shipped.

    Raises ResultError where it was not tuned.
    """
    best: Mapping[str, object] = record(peer)["ours" if encoder == "ours" else "shipped"]["best"]
    return PeerSettings(**{"model": model, "encoder": encoder, **best})  # type: ignore[arg-type]


def check_installed(peers: Iterable[Peer]) -> None:
    """Raises ServerError for the first peer that cannot be started, before an hour is spent."""
    for peer in peers:
        peer.server(PeerSettings("-"))


def chosen(names: Iterable[str] | None) -> list[Peer]:
    """Peers by name, all for None. Raises ServerError for a name that is none."""
    wanted = list(CATALOGUE) if names is None else list(names)
    for name in wanted:
        if name not in CATALOGUE:
            raise ServerError(f"{name!r} is not a peer: there are {', '.join(CATALOGUE)}")
    return [CATALOGUE[name] for name in wanted]
