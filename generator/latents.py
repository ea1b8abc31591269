"""Seed -> latent, the same for ever; truncation.

The law, in full: a seed s (0 .. 2^32 - 1) keys the counter-based generator Philox4x64-10 (Salmon et al.
2011) as NumPy lays it out (key = (s, 0), counter from 1). Its i-th 64-bit word x gives the uniform
u = (floor(x / 2^12) + 1/2) / 2^52, strictly between 0 and 1, and the inverse normal CDF turns u into
component i. All of it in float64; the result is rounded to float32 once, at the end. Golden values in the
tests hold it in place. It depends on no library but for Philox itself, whose stream NumPy guarantees.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from generator.spec import Noise

Floats = npt.NDArray[np.float64]
Latents = npt.NDArray[np.float32]

MAX_SEED = 2**32 - 1
MAX_TRUNCATION = 8.0  # beyond it float64 no longer tells the truncated normal from the whole one

_local = threading.local()


def latents(
    seeds: Sequence[int],
    latent_dim: int,
    truncation: Sequence[float | None] | float | None = None,
    noise: Noise = "gaussian",
) -> Latents:
    """The latents of seeds, float32 [N, latent_dim].

    `truncation` t (one for all, or one for each seed; None is off) restricts the distribution to
    [-t, t] by its inverse CDF (Brock, Donahue, Simonyan 2019 resample instead), so that a latent
    moves continuously with t. Raises ValueError for a seed or truncation out of range.
    """
    uniform = _uniforms(seeds, latent_dim)  # [N, latent_dim] in (0, 1)
    if truncation is not None:
        bounds = truncation if isinstance(truncation, Sequence) else [truncation] * len(seeds)
        lower = np.array([_lower_tail(bound, noise) for bound in bounds])[:, None]  # [N, 1]
        uniform = lower + uniform * (1 - 2 * lower)
    return (inverse_normal_cdf(uniform) if noise == "gaussian" else 2 * uniform - 1).astype(np.float32)


def check_seed(seed: int) -> None:
    """Raises ValueError unless the seed is a whole number from 0 to 2^32 - 1."""
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {seed!r}: allowed are whole numbers from 0 to {MAX_SEED}")


def check_truncation(truncation: float) -> None:
    """Raises ValueError unless the truncation is in (0, 8]."""
    if not 0 < truncation <= MAX_TRUNCATION:
        raise ValueError(
            f"truncation {truncation!r}: allowed are numbers above 0, up to {MAX_TRUNCATION:g}; "
            "leave it out to draw from the whole distribution"
        )


def _uniforms(seeds: Sequence[int], latent_dim: int) -> Floats:
    """u in (0, 1), float64 [N, latent_dim]. One Philox a thread, re-keyed: 4 times faster than new ones."""
    if not hasattr(_local, "philox"):
        _local.philox = np.random.Philox(key=0)
        _local.start = _local.philox.state
    words = np.empty((len(seeds), latent_dim), np.uint64)
    for row, seed in enumerate(seeds):
        check_seed(seed)
        _local.start["state"]["key"][0] = seed
        _local.philox.state = _local.start
        words[row] = _local.philox.random_raw(latent_dim)
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _lower_tail(truncation: float | None, noise: Noise) -> float:
    """The probability below -truncation, which truncation cuts off (and as much above)."""
    if truncation is None:
        return 0.0
    check_truncation(truncation)
    if noise == "uniform":
        return max(0.0, (1 - truncation) / 2)
    return 0.5 * math.erfc(truncation / math.sqrt(2))


# Algorithm AS 241, PPND16 (Wichura 1988), accurate to about 1 part in 10^16. Coefficients of the highest
# power first: (numerator, denominator) around the median, in the near tail, in the far tail.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_NEAR = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
     1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
     4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
     0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
     0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
     5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
     7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
     0.59983220655588793769, 1.0),
)  # fmt: skip


def _coefficients(*regions: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    """[power, numerator or denominator, region, 1]: of several regions side by side."""
    return np.array(regions).transpose(2, 1, 0)[..., None]


_CENTRE_AND_NEAR, _FAR_ALONE = _coefficients(_CENTRE, _NEAR), _coefficients(_FAR)


def _ratio(coefficients: Floats, x: Floats) -> Floats:
    """The rational functions of some regions, each at its row of x [regions, N]."""
    both = np.empty((2, *x.shape))  # numerator and denominator
    both[:] = coefficients[0]
    for coefficient in coefficients[1:]:
        both *= x
        both += coefficient
    quotient: Floats = both[0] / both[1]
    return quotient


def inverse_normal_cdf(probability: Floats) -> Floats:
    """The standard normal quantile of probabilities in (0, 1), float64, any shape (AS 241).

    Centre and near tail are computed everywhere, and one of them is taken: for the few numbers of a seed
    that is faster than to gather those of the tail.
    """
    p = probability.ravel()
    centred = p - 0.5
    depth = np.sqrt(-np.log(np.minimum(p, 1 - p)))
    centre, size = _ratio(_CENTRE_AND_NEAR, np.stack((0.180625 - centred * centred, depth - 1.6)))
    far = depth > 5
    if far.any():
        size[far] = _ratio(_FAR_ALONE, depth[None, far] - 5)[0]
    quantile: Floats = np.where(np.abs(centred) > 0.425, np.copysign(size, centred), centred * centre)
    return quantile.reshape(probability.shape)
