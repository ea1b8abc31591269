"""What was found as tables, plots and a page of Markdown."""

from __future__ import annotations

from pathlib import Path

from matplotlib.ticker import FuncFormatter

from benchmarks import plots
from benchmarks.repeats import Spread
from benchmarks.results import Json
from benchmarks.tables import Table, figure
from generator.engines.parity import MAX_PIXEL_ERROR

PICTURE = "gpu-check.svg"


def tables(result: Json) -> list[Table]:
    """The ways next to each other, then images/s and latency of each for every batch."""
    return [
        _overview(result),
        _by_batch(result, "Images a second", "images_per_s"),
        _by_batch(result, "Milliseconds of a call: p50, and p99", "latency"),
        *([_missing(result)] if result["missing"] else []),
    ]


def failures(result: Json) -> list[str]:
    """The ways that make other images than the CPU."""
    return [way["way"] for way in result["ways"] if way["parity"]["max_pixel_error"] > MAX_PIXEL_ERROR]


def _overview(result: Json) -> Table:
    rows: list[tuple[str, ...]] = []
    settings = result["manifest"]["settings"]
    for way in result["ways"]:
        found, batches = way["parity"], way["batches"]
        best = max(batches, key=lambda batch: Spread.of(batches[batch]["images_per_s"]).median)
        smallest = min(batches, key=int)
        rows.append(
            (
                way["way"],
                f"{found['differing_values']:,} of {found['compared_values']:,}",
                f"{found['max_pixel_error']}",
                f"{batches[smallest]['latency']['p50_ms']:.3f}",
                best,
                figure(Spread.of(batches[best]["images_per_s"])),
            )
        )
    smallest = min(settings["batches"])
    columns = (
        "", "values that differ", "by at most", f"batch of {smallest}, p50 ms", "best batch", "images/s",
    )  # fmt: skip
    note = (
        f"Pixels are compared with those of the first row, over {settings['seeds']:,} seeds; steps are of "
        f"255, and at most {MAX_PIXEL_ERROR} is allowed. Times are of whole calls, from latents to pixels, "
        f"both in this machine's memory: median and range of {settings['repeats']} repeats of "
        f"{settings['seconds']:g} s, in turns."
    )
    return Table("Every way, at its best", columns, rows, note=note)


def _by_batch(result: Json, title: str, what: str) -> Table:
    batches = [str(batch) for batch in result["manifest"]["settings"]["batches"]]
    rows: list[tuple[str, ...]] = []
    for way in result["ways"]:
        at = [way["batches"][batch] for batch in batches]
        if what == "latency":
            cells = [_latency(one["latency"]) for one in at]
        else:
            cells = [f"{Spread.of(one['images_per_s']).median:,.0f}" for one in at]
        rows.append((way["way"], *cells))
    return Table(title, ("batch", *batches), rows)


def _latency(found: Json) -> str:
    p99 = f", {found['p99_ms']:.2f}" if found["p99_high_ms"] is not None else ""
    return f"{found['p50_ms']:.2f}{p99}"


def _missing(result: Json) -> Table:
    rows: list[tuple[str, ...]] = [(name, why) for name, why in result["missing"].items()]
    return Table("Not measured", ("", "what is missing"), rows)


def draw(result: Json, file: Path) -> None:
    """Images a second and the latency of a call against the batch: medians, with their range."""
    batches = [int(batch) for batch in result["manifest"]["settings"]["batches"]]
    with plots.figure(10, 4.2, columns=2) as (drawn, (rate, latency)):
        for way in result["ways"]:
            at = [way["batches"][str(batch)] for batch in batches]
            spreads = [Spread.of(one["images_per_s"]) for one in at]
            (line,) = rate.plot(batches, [spread.median for spread in spreads], marker="o", markersize=3.5)
            low, high = [spread.low for spread in spreads], [spread.high for spread in spreads]
            rate.fill_between(batches, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
            p50 = [one["latency"]["p50_ms"] for one in at]
            latency.plot(batches, p50, color=line.get_color(), label=way["way"], marker="o", markersize=3.5)
        rate.set_title("Images a second")
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter("{x:,.0f}")
        latency.set_title("Milliseconds of a call, p50")
        latency.set_yscale("log")
        latency.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axes in (rate, latency):
            plots.batch_axis(axes, batches)
        latency.legend(fontsize=8, loc="upper left")
        plots.save(drawn, file)


def page(result: Json) -> str:
    """The report in Markdown; the picture lies beside it."""
    manifest = result["manifest"]
    hardware, versions = manifest["hardware"], manifest["versions"]
    gpu = hardware["gpu"]
    on = (
        f"{gpu['name']} (compute capability {gpu['compute_capability']}, CUDA {gpu['driver']})"
        if gpu
        else ("no GPU")
    )
    parts = [
        f"# GPU check of {manifest['generator']['id']}",
        f"{manifest['created']}, on {on}, {hardware['processor']} with {hardware['cores']} cores, "
        f"{manifest['system']}. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". Command: `{' '.join(manifest['command'])}`.",
        f"![Images a second and latency for each batch]({PICTURE})",
        *(table.markdown() for table in tables(result)),
    ]
    return "\n\n".join(parts) + "\n"
