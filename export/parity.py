"""Does an exported graph make what the trained network makes? Measured, and refused if not."""

from __future__ import annotations

import numpy as np
import onnxruntime

from export.reference import Reference
from export.tail import VALUES
from generator.artifact import Parity
from generator.latents import latents
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec

BATCHES = (1, 3, 64)
MAX_ABS_ERROR = 1e-5  # before rounding, of a range of 2
MAX_ABS_ERROR_FP16 = 2e-3  # the same of a graph in float16: a quarter of a uint8 step
MAX_PIXEL_ERROR = 1  # uint8 steps: a value on the edge between two may round either way


class ParityError(ValueError):
    """A graph that does not make the network's images."""


def measure_parity(
    reference: Reference, spec: GeneratorSpec, graph: bytes, twin: bytes, allowed: float = MAX_ABS_ERROR
) -> Parity:
    """Compares onnxruntime on a graph and its twin, which also outputs `values`, with a reference.

    The reference computes in float64: float32 results are off by nearly as much as is allowed here, and
    what counts is how far the graph is from the network, not how two roundings happen to differ. The
    difference to the reference in float32 is recorded beside it.
    Seeds 0.. and every class in turn, batches of 1, 3 and 64. Raises ParityError where values before
    rounding are off by more than what is allowed.
    """
    sessions = [
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]) for model in (graph, twin)
    ]
    max_abs_error, max_abs_error_float32 = 0.0, 0.0
    max_pixel_error, differing, compared = 0, 0, 0
    for batch in BATCHES:
        seeds = range(batch)
        latent = latents(seeds, spec.latent_dim, noise=spec.noise)
        class_vector = spec.class_vectors([seed % spec.num_classes for seed in seeds])
        class_vector[-1] = 1 / spec.num_classes  # one mixture of classes among the plain ones
        feed = {LATENT: latent, CLASS_VECTOR: class_vector}
        images = sessions[0].run([IMAGES], feed)[0]
        twin_images, values = sessions[1].run([IMAGES, VALUES], feed)
        expected = reference.expect(latent, class_vector)
        if images.shape != expected.images.shape or images.dtype != np.uint8:
            raise ParityError(f"the graph makes {images.dtype} {images.shape}, not {expected.images.shape}")
        if not np.array_equal(images, twin_images):
            raise ParityError("the graph and its twin make different images")
        errors = np.abs(images.astype(np.int16) - expected.images)
        max_abs_error = max(max_abs_error, float(np.abs(values - expected.values).max()))
        max_abs_error_float32 = max(
            max_abs_error_float32, float(np.abs(values - expected.values_float32).max())
        )
        max_pixel_error = max(max_pixel_error, int(errors.max()))
        differing += int((errors > 0).sum())
        compared += errors.size
    if not max_abs_error <= allowed or max_pixel_error > MAX_PIXEL_ERROR:
        raise ParityError(
            f"parity failed: {max_abs_error:.2e} before rounding (allowed {allowed:g}), "
            f"{max_pixel_error} uint8 steps after (allowed {MAX_PIXEL_ERROR})"
        )
    return Parity(
        BATCHES,
        max_abs_error,
        max_abs_error_float32,
        max_pixel_error,
        differing,
        compared,
        reference=reference.name,
    )
