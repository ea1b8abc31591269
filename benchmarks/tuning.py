"""Each peer at its best: every way to run it is tried, the most requests a second at 64 connections wins."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from benchmarks.answers import WrongAnswer
from benchmarks.machine import manifest
from benchmarks.measuring import visit
from benchmarks.peers.catalogue import CATALOGUE, Peer
from benchmarks.peers.settings import Encoder, PeerSettings
from benchmarks.results import TUNED, Json, ResultError, read, write
from benchmarks.servers import Server, ServerError
from benchmarks.wrk import WrkError
from generator import Generator

CONNECTIONS = 64
ENCODERS: tuple[Encoder, ...] = get_args(Encoder)

Tell = Callable[[str], None]


def tune(generator: Generator, peers: Iterable[Peer], *, repeats: int, seconds: int, tell: Tell) -> Json:
    """Tries everything, in turns, and remembers the winners in runs/benchmarks/tuned.json.

    Peers that are not in `peers` keep what was found before. Raises ServerError for a peer that never works.
    """
    model = str(generator.artifact.path)
    found: Json = read(TUNED)["peers"] if TUNED.is_file() else {}
    for peer in peers:
        found[peer.name] = {}
        for encoder in ENCODERS:
            ways = list(peer.ways(PeerSettings(model, encoder)))
            rates: list[list[float]] = [[] for _ in ways]
            for repeat in range(repeats):
                for way, rates_of_way in zip(ways, rates, strict=True):
                    rates_of_way.append(_rate(peer.server(way), generator, seconds, tell))
                    turn = f"{peer.name} {encoder} {repeat + 1}/{repeats}"
                    tell(f"{turn}  {_settings(peer, way)}  {rates_of_way[-1]:,.0f}/s")
            found[peer.name][encoder] = _best(peer, ways, rates)
        about = manifest(generator.artifact, repeats=repeats, seconds=seconds)
        write(TUNED, {"manifest": about, "peers": found})
    return found


def _rate(server: Server, generator: Generator, seconds: int, tell: Tell) -> float:
    """Requests a second; 0 for a server that failed, which should not break off an hour of others."""
    try:
        return visit(server, generator, [CONNECTIONS], seconds).loads[CONNECTIONS].requests_per_s
    except (ServerError, WrkError, WrongAnswer) as error:
        tell(f"{server.name} failed: {error}")
        return 0.0


def _settings(peer: Peer, way: PeerSettings) -> Json:
    """What tuning may choose, without what all ways share."""
    fields = sorted({name for axis in peer.axes for choice in axis for name in choice})
    return {name: getattr(way, name) for name in fields}


def _best(peer: Peer, ways: list[PeerSettings], rates: list[list[float]]) -> Json:
    medians = [statistics.median(rates_of_way) for rates_of_way in rates]
    if not max(medians):
        raise ServerError(f"{peer.name}: no way to run it works; runs/benchmarks/logs may say why")
    best = ways[medians.index(max(medians))]
    tried = [
        {"settings": _settings(peer, way), "requests_per_s": rates_of_way}
        for way, rates_of_way in zip(ways, rates, strict=True)
    ]
    return {"best": _settings(peer, best), "tried": tried}


def tuned(peer: Peer, model: str, encoder: Encoder) -> PeerSettings:
    """A peer's best settings. Raises ResultError where it was not tuned."""
    try:
        best: Mapping[str, object] = read(TUNED)["peers"][peer.name][encoder]["best"]
    except (OSError, KeyError):
        raise ResultError(f"{peer.name} is not tuned: python -m benchmarks tune") from None
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
