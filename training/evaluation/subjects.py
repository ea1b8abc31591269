"""What is measured: the generators of one call, and the real images that they were made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from training.config import ConfigError, Fit, TrainConfig
from training.data import DataError, Dataset, load_dataset, load_test_images
from training.evaluation.generated import AUTO, ArtifactSource, CheckpointSource, open_source
from training.evaluation.real import RealImages, split_real
from training.monitors.held_out import set_aside

SHAPES = "shapes"  # data that is drawn on the fly, so an artifact's record of it is enough to find it

AnySource = ArtifactSource | CheckpointSource
Sources = dict[str, AnySource]  # by the names that tables call them


def open_sources(paths: Sequence[Path], engines: Sequence[str] | None) -> Sources:
    """Every generator on every engine, None the best one. Raises ConfigError for what is given twice."""
    opened: Sources = {}
    chosen = engines or [AUTO]
    for path in paths:
        for engine in chosen:
            source = open_source(path, engine)
            name = source.name if len(chosen) == 1 else f"{source.name}/{engine}"
            if name in opened:
                name = str(path) if len(chosen) == 1 else f"{path}/{engine}"
            if name in opened:
                raise ConfigError(f"{path} is given twice")
            source.name = name
            opened[name] = source
    return opened


def find_real_images(sources: Sources, data: str | None, test_data: str | None) -> RealImages:
    """The data as the training of every one of the generators saw it.

    `data` None: what a checkpoint was trained on; `test_data` None: the data's own test set, if it has one.
    Raises DataError, ConfigError.
    """
    first = next(iter(sources.values()))
    if data is None and (isinstance(first, CheckpointSource) or first.training.data == SHAPES):
        data = first.training.data
    if not data:
        raise ConfigError(f"--data is needed: {first.name} does not say where its real images are")
    for name, source in sources.items():
        if _made_for(source) != _made_for(first):
            raise ConfigError(
                "{} was made for {} pixels, channels {}, --fit {}, ".format(name, *_made_for(source))
                + "{} for {}, {}, {}: measure them apart".format(first.name, *_made_for(first))
            )
    size, channels, fit = _made_for(first)
    # Where one of them took the data's own size, that must be the size of all.
    own_size = any(source.training.image_size is None for source in sources.values())
    config = TrainConfig(data=data, image_size=None if own_size else size, channels=channels, fit=fit)
    dataset = load_dataset(config)
    own_test = load_test_images(config)
    test = load_dataset(replace(config, data=test_data)) if test_data else own_test
    for name, source in sources.items():
        _check_fits(dataset, source, name, data)
    aside = 0 if own_test else max(_set_aside(source, dataset) for source in sources.values())
    return split_real(dataset, test, aside)


def _set_aside(source: AnySource, dataset: Dataset) -> int:
    """How many images of data without a test set its training never saw; none of data that has too few."""
    try:
        _, aside = set_aside(source.training, dataset, None)
    except ConfigError:
        return 0
    return len(aside.labels) if aside else 0


def _made_for(source: AnySource) -> tuple[int, Literal[1, 3], Fit]:
    """Size and channels of a generator's images, and how its training brought others to that size."""
    return source.spec.image_size, source.spec.channels, source.training.fit


def _check_fits(dataset: Dataset, source: AnySource, name: str, data: str) -> None:
    spec = source.spec
    if dataset.spec(source.training).slugs != spec.slugs:  # "T - shirt / top" is "T-shirt/top" too
        raise DataError(
            f"{data} has the classes {', '.join(dataset.class_names)}, {name} {', '.join(spec.class_names)}"
        )
    if dataset.images.shape[1] != spec.image_size:
        raise DataError(
            f"{data} has images of {dataset.images.shape[1]} pixels, {name} makes {spec.image_size}"
        )
