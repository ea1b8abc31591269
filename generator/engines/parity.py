"""Does an engine make the pixels that another makes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.engines import Engine, EngineError
from generator.latents import latents
from generator.spec import GeneratorSpec

MAX_PIXEL_ERROR = 1  # uint8 steps: a value on the edge between two may round either way


@dataclass(frozen=True)
class PixelParity:
    """How far an engine's pixels are from another's, over the batches that were compared."""

    reference: str  # the other engine's key
    batches: tuple[int, ...]
    max_pixel_error: int  # in uint8 steps
    differing_pixels: int
    compared_pixels: int

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> PixelParity:
        return cls(**{**fields, "batches": tuple(fields["batches"])})


def measure_pixel_parity(
    engine: Engine, reference: Engine, spec: GeneratorSpec, batches: Sequence[int]
) -> PixelParity:
    """What `compare_pixels` finds. Raises EngineError for a difference of more than one step."""
    found = compare_pixels(engine, reference, spec, batches)
    if found.max_pixel_error > MAX_PIXEL_ERROR:
        raise EngineError(
            f"{engine.key} makes other images than {reference.key}: {found.differing_pixels:,} of "
            f"{found.compared_pixels:,} values differ, by up to {found.max_pixel_error} of 255 (allowed "
            f"{MAX_PIXEL_ERROR})"
        )
    return found


def compare_pixels(
    engine: Engine, reference: Engine, spec: GeneratorSpec, batches: Sequence[int]
) -> PixelParity:
    """Other seeds for each batch, from 0 on, every class in turn, one mixture of classes a batch.

    Raises EngineError for images of another shape or type.
    """
    worst, differing, compared, first = 0, 0, 0, 0
    for batch in batches:
        seeds = range(first, first + batch)
        latent = latents(seeds, spec.latent_dim, noise=spec.noise)
        class_vector = spec.class_vectors([seed % spec.num_classes for seed in seeds])
        class_vector[-1] = 1 / spec.num_classes
        made = engine.generate(latent, class_vector)
        expected = reference.generate(latent, class_vector)
        if made.shape != expected.shape or made.dtype != np.uint8:
            raise EngineError(f"{engine.key} made {made.dtype} {made.shape} of a batch of {batch}")
        errors = np.abs(made.astype(np.int16) - expected)
        worst = max(worst, int(errors.max()))
        differing += int((errors > 0).sum())
        compared += errors.size
        first += batch
    return PixelParity(reference.key, tuple(batches), worst, differing, compared)
