"""The table of both loops."""

from __future__ import annotations

from benchmarks.repeats import Spread, ratio
from benchmarks.results import Json
from benchmarks.tables import Table, figure


def tables(result: Json) -> list[Table]:
    rows: list[tuple[str, ...]] = [
        (
            loop["preset"],
            f"{loop['generator_parameters'] / 1e6:.2f} + {loop['discriminator_parameters'] / 1e6:.2f}",
            str(loop["batch"]),
            figure(Spread.of(loop["ours"])),
            figure(Spread.of(loop["textbook"])),
            figure(ratio(loop["ours"], loop["textbook"]), 2),
            figure(Spread.of(loop["one_stage"])),
            figure(ratio(loop["one_stage"], loop["textbook"]), 2),
            figure(ratio(loop["ours"], loop["unwatched"]), 3),
        )
        for loop in result["loops"]
    ]
    columns = (
        "networks of",
        "parameters, millions",
        "batch",
        "ours, images/s",
        "textbook, images/s",
        "ratio",
        "ours in one stage, images/s",
        "ratio",
        "ours, watched by unwatched",
    )
    settings, first = result["manifest"]["settings"], result["loops"][0]
    note = (
        f"Median and range of {settings['repeats']} turns of {settings['seconds']:g} s, in one process; "
        f"torch {first['torch']}, {first['threads']} threads. "
        "The textbook's loop is that of PyTorch's DCGAN tutorial: two passes of the discriminator, plain "
        "Adam, tensors in their ordinary layout. Both have the non-saturating objective; ours also keeps the "
        "moving average of the weights, and is watched by its monitors; the last column says what they cost. "
        "In one stage: with --one-stage, where both networks learn from one pass of the discriminator."
    )
    return [Table("Training: our loop and the textbook's", columns, rows, note=note)]
