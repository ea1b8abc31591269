"""What a load showed, in words: for the terminal and for the report."""

from __future__ import annotations

from typing import Any

from benchmarks.load.histogram import SHARES, Percentile
from benchmarks.load.intervals import needed
from benchmarks.load.measured import Measured
from benchmarks.load.outcome import MAX_LAG_MS
from benchmarks.tables import Table

Json = dict[str, Any]

BUSY = 0.9  # of a core: a client in a closed loop that needs more is what is measured
LOAD_COLUMNS = (
    "load", "right answers/s", *(f"{name} ms" for name in SHARES), "max ms", "answers", "refused", "failed",
    "client lag p99 ms", "client CPU",
)  # fmt: skip
INTERVALS = (
    "In brackets: the interval that holds the percentile with 99 % confidence, by order statistics, were the "
    "answers independent of each other; under load they are not quite, and it is wider. A percentile with "
    "too few answers for an interval is left out ("
    + ", ".join(f"{name} needs {needed(share):,}" for name, share in SHARES.items())
    + "). Latencies are of answers with status 200, from when the request was due."
)


def line(measured: Measured) -> str:
    """One load on one line."""
    lag, found = measured.lag.percentile(0.99), measured.latency.percentiles()
    told = "  ".join(f"{name} {one.ms:.2f}" for name, one in found.items() if one)
    asked = "closed loop" if measured.rate_per_s is None else f"{measured.rate_per_s:,.0f}/s"
    return (
        f"{asked:>12}  {measured.goodput_per_s:,.0f} right answers/s  {told} ms  "
        f"refused {measured.count(429):,}  failed {measured.failed:,}  "
        + (f"lag p99 {lag.ms:.2f} ms  " if lag and measured.rate_per_s else "")
        + f"client {measured.cpu_share:.0%}"
        + ("" if measured.valid else "  INVALID: the client lagged")
    )


def name_of(load: Json) -> str:
    rate = load["rate_per_s"]
    return f"closed loop, {load['connections']}" if rate is None else f"{rate:,.0f}/s"


def verdict(result: Json) -> list[str]:
    """The result in a few sentences, the most important first."""
    load = result["loads"][-1]
    said = []
    if not result["valid"]:
        said.append(
            f"INVALID: the client sent more than one request in a hundred over {MAX_LAG_MS:g} ms late, so it "
            "measured itself. Let nothing else run, load it from another machine, or give the client more "
            "--processes where it needs most of a core."
        )
    if result["mode"] == "find-rate":
        bound = f"p99 of all requests within {result['bound_ms']:g} ms"
        found = result["found_per_s"]
        said.append(f"{found:,.0f} requests/s with {bound}." if found else f"No rate has {bound}.")
        if result["limited_by_client"]:
            said.append(
                "INVALID: the search was limited by the client, which lagged at the next higher rate; the "
                "service may answer more. Give it a machine of its own, or more --processes."
            )
    elif result["mode"] == "sweep":
        most = max(result["loads"], key=lambda one: one["goodput_per_s"])
        said.append(
            f"Peak in a closed loop {result['peak']['goodput_per_s']:,.0f}/s; at twice that, "
            f"{load['goodput_per_s']:,.0f} right answers/s, and at most {most['goodput_per_s']:,.0f} "
            f"(of {name_of(most)})."
        )
    elif result["mode"] == "closed":
        said.append(
            f"Peak: {load['goodput_per_s']:,.0f} right answers/s over {load['connections']} connections."
        )
    else:
        said.append(
            f"{load['answered']:,} of {load['requests']:,} requests answered right "
            f"({load['answered'] / load['requests']:.2%}) at {name_of(load)}."
        )
    closed = [one for one in (result.get("peak"), load) if one and one["rate_per_s"] is None]
    if any(one["client_cpu_share"] > BUSY for one in closed):
        said.append(
            f"The client was busy in its closed loop (over {BUSY:.0%} of a core): use more --processes."
        )
    checked = sum(one["checked"] for one in result["loads"])
    said.append(
        f"{checked:,} answers were compared pixel for pixel, all right."
        if checked
        else "No pixel was compared: there was no artifact of the served version with the same engine."
    )
    return said


def tables(result: Json) -> list[Table]:
    """Of the loads, of the kinds of requests where there are several, and of a search."""
    loads = [load for load in (result.get("peak"), *result["loads"]) if load]
    found = [Table("Loads", LOAD_COLUMNS, [_row(load) for load in loads], note=INTERVALS)]
    kinds = result["loads"][-1]["kinds"]
    if len(kinds) > 1:
        rows: list[tuple[str, ...]] = [
            (
                name,
                f"{one['requests']:,}",
                f"{one['answered']:,}",
                *(percentile(one["latency"][key]) for key in SHARES),
                milliseconds(one["latency"]["max_ms"]),
            )
            for name, one in kinds.items()
        ]
        columns = ("kind", "requests", "right answers", *(f"{key} ms" for key in SHARES), "max ms")
        found.append(Table(f"Kinds of requests at {name_of(result['loads'][-1])}", columns, rows))
    if "tries" in result:
        found.append(_search(result))
    return found


def _search(result: Json) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"{one['rate_per_s']:,.0f}/s", f"{one['seconds']:g}", f"{one['within']:.2%}",
         "yes" if one["passed"] else "no" if one["valid"] else "no: the client lagged")
        for one in result["tries"]
    ]  # fmt: skip
    columns = ("load", "seconds", f"of all requests within {result['bound_ms']:g} ms", "passed")
    note = "Bisection with short loads, then whole ones until one passes."
    return Table("The search", columns, rows, note=note)


def _row(load: Json) -> tuple[str, ...]:
    latency, lag, is_open = load["latency"], load["lag"]["p99"], load["rate_per_s"] is not None
    return (
        name_of(load) + ("" if load["valid"] else " INVALID"),
        f"{load['goodput_per_s']:,.0f}",
        *(percentile(latency[name]) for name in SHARES),
        milliseconds(latency["max_ms"]),
        f"{latency['samples']:,}",
        f"{load['refused']:,}",
        f"{load['failed']:,}",
        milliseconds(lag["ms"]) if is_open and lag else "",
        f"{load['client_cpu_share']:.0%}",
    )


def percentile(found: Json | None) -> str:
    """`4.1 (4.0-4.3)`, or a dash for one that has too few answers."""
    if found is None:
        return "-"
    one = Percentile(**found)
    return f"{milliseconds(one.ms)} ({milliseconds(one.low_ms)}-{milliseconds(one.high_ms)})"


def milliseconds(value: float | None) -> str:
    """With three digits, or whole."""
    return (
        "-"
        if value is None
        else f"{value:,.0f}"
        if value >= 100
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
    )
