"""A comparison with peers as tables: who answers how much, how long one waits, how each peer was run."""

from __future__ import annotations

from dataclasses import asdict

from benchmarks.comparison import (
    AGAIN,
    CONNECTIONS,
    OWN_HALF,
    PEAK,
    against,
    best_peer,
    complete,
    encoders_of,
    of_visits,
    offered,
    rates_of,
)  # fmt: skip
from benchmarks.load.histogram import Histogram
from benchmarks.load.words import percentile
from benchmarks.mintage import NAME
from benchmarks.repeats import Spread
from benchmarks.results import Json, ResultError
from benchmarks.tables import Table, figure
from benchmarks.tuning import SEARCHED

COUNTS = ("1 connection", *(str(count) for count in CONNECTIONS[1:]))


def peers_tables(result: Json) -> list[Table]:
    """The standings, the ratios with their ranges, the open loops, the peers' settings, the failures.

    Raises ResultError for a result without histograms of open loops, as they were at first.
    """
    names = complete(result)
    if NAME not in names:
        return [_failures(result)]
    if not all("latency" in loop for name in names for loop in offered(result, name, OWN_HALF)):
        raise ResultError(
            "this comparison has no histograms of its open loops: run it again, python -m benchmarks peers"
        )
    tables = [_standings(result, names), _ratios(result, names), _waits(result, names)]
    tables += [tuned_table(result["tuned"])] if result["tuned"] else []
    return [*tables, _failures(result)] if result["failed"] else tables


def _standings(result: Json, names: list[str]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in names:
        rates = [_median(rates_of(result, name, count)) for count in CONNECTIONS]
        ratio = "" if name == NAME else f"{against(result, name, PEAK).median:.2f}"
        waits = " / ".join(cell.split(" ")[0] for cell in _percentiles(offered(result, name, OWN_HALF)))
        rows.append((name, *rates, ratio, waits, _median(of_visits(result, name, "ready_s"))))
    columns = ("server", *COUNTS, f"{NAME} / server", "p50 / p99 at half load, ms", "start, s")
    return Table("Requests a second", columns, rows, _ours(names), _standings_note(result))


def _ours(names: list[str]) -> frozenset[int]:
    return frozenset(place for place, name in enumerate(names) if name == NAME)


def _standings_note(result: Json) -> str:
    settings = result["manifest"]["settings"]
    checked = sum(visit["checked_images"] for visits in result["visits"].values() for visit in visits)
    workers = settings.get("workers")
    ours = f"{NAME} with {workers} workers" if workers else f"{NAME} with its default settings"
    return (
        f"Medians of {settings['repeats']} repeats of {settings['seconds']} s, in turns; {ours}. One PNG a "
        "request, unique seeds. `shipped`: the peer has Pillow and onnxruntime as they are, `encoder`: our "
        f"PNG encoder, `ours`: our encoder and engine. The ratio is that at {PEAK} connections, half load is "
        "half of what was answered there. "
        "Start: from the start of the process until it is ready. "
        f"{checked:,} answers were compared pixel for pixel, all right."
    )


def _ratios(result: Json, names: list[str]) -> Table:
    """How many times as many requests ours answers; the best peer of each encoder has a star."""
    rows: list[tuple[str, ...]] = []
    for name in names:
        if name == NAME:
            continue
        cells = []
        for count in CONNECTIONS:
            star = (
                " *"
                if name in [best_peer(result, encoder, count) for encoder in encoders_of(result)]
                else "  "
            )
            cells.append(figure(against(result, name, count), 2) + star)
        rows.append((name, *cells))
    return Table(
        f"{NAME} / server, requests a second",
        ("server", *COUNTS),
        rows,
        note=f"Visit by visit, then the median and the range. A star: the best peer of its kind. "
        f"{AGAIN} is the same server measured twice: how far its ratio is from 1 is the noise.",
    )


def _waits(result: Json, names: list[str]) -> Table:
    """What one waits in an open loop."""
    rows = [_wait(name, offered(result, name, OWN_HALF)) for name in names]
    return Table(
        f"Latency at {OWN_HALF}",
        ("server", "offered, requests/s", "p50, ms", "p99, ms", "not answered"),
        rows,
        _ours(names),
        f"An open loop: Poisson arrivals at half of what the server answered at {PEAK} connections on that "
        "visit. Latency counts from when a request was due; percentiles are of the visits' merged histogram, "
        "with their 99 % interval, and a dash stands for too few answers. "
        "Each has a rate of its own: who answers more is asked more. INVALID: on some visit the client sent "
        "more than one request in a hundred over 10 ms late.",
    )


def _wait(title: str, loops: list[Json]) -> tuple[str, ...]:
    valid = all(loop["valid"] for loop in loops)
    rate = figure(Spread.of([loop["rate_per_s"] for loop in loops]))
    p50, p99 = _percentiles(loops)
    asked, answered = (sum(loop[field] for loop in loops) for field in ("requests", "answered"))
    return title if valid else f"{title} (INVALID)", rate, p50, p99, f"{asked - answered:,} of {asked:,}"


def _percentiles(loops: list[Json]) -> tuple[str, str]:
    """p50 and p99 in ms of all visits' answers together, with their intervals; a dash of too few."""
    whole = Histogram.merged([loop["latency"] for loop in loops])
    p50, p99 = (percentile(asdict(one) if one else None) for one in map(whole.percentile, (0.5, 0.99)))
    return p50, p99


def _median(values: list[float]) -> str:
    return figure(Spread.of(values)).split(" ")[0]


def tuned_table(found: Json) -> Table:
    """Each peer's settings, and among how many they are the best."""
    rows = [
        (
            peer,
            str(len(search[SEARCHED[0]]["tried"])),
            *(_settings(search[encoder]["best"]) for encoder in SEARCHED),
        )
        for peer, search in found.items()
    ]
    columns = ("with our engine (ours)", "with onnxruntime as it comes (encoder and shipped)")
    return Table("How each peer was run", ("peer", "ways tried", *columns), rows)


def _settings(best: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in best.items())


def _failures(result: Json) -> Table:
    rows: list[tuple[str, ...]] = [(name, why.splitlines()[0]) for name, why in result["failed"].items()]
    return Table("Failed, and left out", ("server", "why"), rows)
