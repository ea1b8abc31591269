"""What was measured, as tables for people: generators side by side, real images before them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from training.evaluation.copying import PIXELS
from training.evaluation.measure import Yardstick
from training.evaluation.quality import Accuracy, Quality
from training.evaluation.spaces import EFFICIENTNET, INCEPTION, JUDGE

MOST_CLASSES = 30  # rows of the table of classes; of more, those that do worst
FEW = 5000  # samples: below, a Fréchet distance says little, and the kernel distance is shown too
SPACES = {
    JUDGE: "in the judge's features",
    EFFICIENTNET: "in EfficientNet features",
    INCEPTION: "in Inception features",
}


def quality_tables(yardstick: Yardstick, real: Quality, measured: Mapping[str, Quality]) -> Group:
    return Group(_measures(real, measured), Text(), _classes(real, measured), Text(), _notes(yardstick))


def _measures(real: Quality, measured: Mapping[str, Quality]) -> Table:
    title = f"{real.samples:,} images of each, beside {real.samples:,} real ones"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("held-out real", justify="right", style="dim")
    for name in measured:
        table.add_column(Text(name), justify="right")
    all_of_them = [real, *measured.values()]

    def row(title: str, cells: list[str], note: str = "") -> None:
        if any(cell != "-" for cell in cells):
            table.add_row(Text.assemble(title, (f"  {note}" if note else "", "dim")), *cells)

    row("GAN-test", [_share(q.gan_test) for q in all_of_them], "the judge agrees")
    row("GAN-train", [_share(q.gan_train) for q in all_of_them], "taught by these alone")
    for name in real.closeness:
        few = real.samples < FEW
        here = [quality.closeness[name] for quality in all_of_them]
        table.add_section()
        table.add_row(Text(SPACES[name], "bold"))
        floor = here[0].frechet_distance
        fid = "Fréchet distance" + (" (FID)" if name == INCEPTION else "")
        row(f"  {fid}", [_distance(c.frechet_distance, floor) for c in here])
        if few:
            row("  kernel distance", [f"{c.kernel_distance:.4f}" for c in here], "for few images")
        row("  precision", [f"{c.precision:.3f}" for c in here], "good?")
        row("  recall", [f"{c.recall:.3f}" for c in here], "all there?")
        row("  density", [f"{c.density:.3f}" for c in here])
        row("  coverage", [f"{c.coverage:.3f}" for c in here])
        row("  diversity within a class", [_percent(c.diversity) for c in here], "of the real one")
    table.add_section()
    row("Inception Score", [_or_dash(q.inception_score, "{:.2f}") for q in all_of_them])
    for space in next(iter(measured.values())).near_training if measured else ():
        by = space if space == PIXELS else "features"
        cells = ["1.0 %", *(_percent(q.near_training[space], 1) for q in measured.values())]
        row(f"nearly a training image, by {by}", cells)
    return table


def _classes(real: Quality, measured: Mapping[str, Quality]) -> Table:
    """GAN-test, GAN-train and diversity of each class."""
    title = "Each class: GAN-test, GAN-train, diversity"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("held-out real", justify="right", style="dim")
    for name in measured:
        table.add_column(Text(name), justify="right")
    first = next(iter(real.closeness))
    names = list(real.closeness[first].diversity_per_class)
    if len(names) > MOST_CLASSES:
        names = _worst(names, next(iter(measured.values())))
        table.title = (
            f"{title}; the {MOST_CLASSES} of {len(real.closeness[first].diversity_per_class)} that do worst"
        )
    for class_name in names:
        cells = [_of_class(quality, first, class_name) for quality in (real, *measured.values())]
        table.add_row(Text(class_name), *cells)
    return table


def _of_class(quality: Quality, space: str, class_name: str) -> str:
    parts = [
        _or_dash(measure.per_class[class_name], "{:.1%}") if measure else None
        for measure in (quality.gan_test, quality.gan_train)
    ]
    parts.append(_or_dash(quality.closeness[space].diversity_per_class[class_name], "{:.0%}"))
    return "  ".join(f"{part:>6}" for part in parts if part is not None).replace("%", " %")


def _worst(names: list[str], quality: Quality) -> list[str]:
    if quality.gan_test is None:
        return names[:MOST_CLASSES]
    shares = quality.gan_test.per_class
    return sorted(names, key=lambda name: shares[name] if shares[name] is not None else 2)[:MOST_CLASSES]  # type: ignore[arg-type, return-value]


def _notes(yardstick: Yardstick) -> Text:
    return Text("\n".join(notes(yardstick)), "dim")


def notes(yardstick: Yardstick) -> list[str]:
    """What the figures rest on, in sentences."""
    real = yardstick.real
    lines = [
        f"Judge: trained on {len(real.training.labels):,} real images, tested on "
        f"{len(real.held_out.labels):,} that "
        + (
            "the data keeps for testing."
            if real.test_given
            else "were held out of its training, though not of the generators': the data has no test set."
        )
    ]
    if yardstick.judge is None:
        lines = ["GAN-test and GAN-train are left out: with one class there is nothing to tell apart."]
    if yardstick.samples < yardstick.options.samples:
        lines.append(
            f"N is {yardstick.samples:,}, not {yardstick.options.samples:,}: the data has no more for each "
            "side. Compare such distances at the same N only."
        )
    lines.append(
        "Held-out real images are measured like a generator's: theirs is what a perfect generator would get."
    )
    return lines


def _share(measure: Accuracy | None) -> str:
    return "-" if measure is None else f"{measure.accuracy:.1%}".replace("%", " %")


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def _distance(distance: float, floor: float) -> str:
    times = f"  {distance / floor:.1f} x" if distance != floor and floor > 0 else ""
    return f"{distance:.4g}{times}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
