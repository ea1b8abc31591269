"""python -m training evaluate: how good is a generator?"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from generator import Generator
from generator.artifact import ArtifactError
from generator.engines import EngineError
from generator.terminal import tell_error
from training.config import ConfigError, TrainConfig
from training.data import DataError, load_dataset
from training.evaluation.gan_test import GanTest, gan_test
from training.evaluation.judge import train_judge


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "python -m training evaluate",
        description="GAN-test: trains a classifier on the real images, then asks it what it sees in "
        "generated ones.",
    )
    parser.add_argument("artifact", type=Path, help="a generator's folder, such as models/fashion")
    parser.add_argument("--data", required=True, help="the real images, as for training")
    parser.add_argument("--samples", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="of the judge (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="write the result into the manifest")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: at least 1")
    console = Console(stderr=True, highlight=False)
    try:
        generator = Generator.open(options.artifact)
        spec, training = generator.spec, generator.artifact.manifest.provenance.training
        size = None if training.get("image_size") is None else spec.image_size
        dataset = load_dataset(
            TrainConfig(
                data=options.data, image_size=size, channels=spec.channels, fit=training.get("fit", "pad")
            )
        )
        if dataset.class_names != spec.class_names or dataset.images.shape[1] != spec.image_size:
            raise DataError(f"{options.data} has other classes or sizes than {options.artifact}")
        if options.samples < spec.num_classes:
            raise ConfigError(
                f"--samples {options.samples}: at least one for each of {spec.num_classes} classes"
            )
    except (ArtifactError, ConfigError, DataError, EngineError, OSError) as error:
        return tell_error(error)
    thousandths = iter(track(range(1000), "training the judge", console=console))
    done = 0

    def report(share: float) -> None:
        nonlocal done
        while done < share * 1000:
            next(thousandths, None)
            done += 1

    judge = train_judge(dataset, options.epochs, report=report)
    next(thousandths, None)
    result = gan_test(generator, judge, options.samples)
    _print(result)
    if options.record:
        generator.artifact.record_metrics({"gan_test": asdict(result)})
        console.print(f"recorded in {options.artifact}/manifest.json")
    return 0


def _print(result: GanTest) -> None:
    table = Table("class", title=f"GAN-test, {result.samples:,} samples", title_justify="left", box=None)
    table.add_column("judge agrees", justify="right")
    for name, share in result.per_class.items():
        table.add_row(Text(name), f"{share:.1%}")
    table.add_section()
    table.add_row("[bold]all[/]", f"[bold]{result.agreement:.1%}[/]")
    table.add_row(f"[dim]judge on {result.judge_held_out:,} real[/]", f"[dim]{result.judge_accuracy:.1%}[/]")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
