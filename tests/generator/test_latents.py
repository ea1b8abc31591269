from __future__ import annotations

import hashlib

import numpy as np
import pytest
import scipy.special
import scipy.stats

from generator.latents import MAX_SEED, inverse_normal_cdf, latents

GOLDEN = {
    0: ["-0x1.22cd1a0000000p+1", "-0x1.6714740000000p-1", "-0x1.380f160000000p+0", "0x1.4c209a0000000p-3"],
    7: ["0x1.22e11a0000000p+0", "-0x1.13578e0000000p-1", "-0x1.9cf7520000000p-3", "-0x1.ea51f20000000p-3"],
    MAX_SEED: [
        "0x1.1718860000000p-2",
        "-0x1.0d42ba0000000p-2",
        "-0x1.8c75800000000p-3",
        "0x1.c03f9e0000000p-2",
    ],
}


@pytest.mark.parametrize("seed", GOLDEN)
def test_a_seed_means_one_latent_for_ever(seed: int) -> None:
    assert [float(x).hex() for x in latents([seed], 4)[0]] == GOLDEN[seed]


def test_a_thousand_seeds_mean_the_same_latents_for_ever() -> None:
    digest = hashlib.sha256(latents(range(1000), 64).tobytes()).hexdigest()
    assert digest == "008e2f3913c3963f509b8ebda88476272047012fe24da4ec3dd673330ff2ea70"


def test_a_latent_follows_the_law_as_it_is_written() -> None:
    words = np.random.Philox(key=42).random_raw(9)
    uniform = ((words >> np.uint64(12)).astype(float) + 0.5) / 2**52
    np.testing.assert_array_equal(latents([42], 9)[0], scipy.special.ndtri(uniform).astype(np.float32))


def test_a_latent_does_not_depend_on_its_batch_or_length() -> None:
    together = latents([5, 7, MAX_SEED, 7], 16, [None, 0.5, None, None])
    np.testing.assert_array_equal(together[3], latents([7], 16)[0])
    np.testing.assert_array_equal(together[1], latents([7], 16, 0.5)[0])
    np.testing.assert_array_equal(together[2][:3], latents([MAX_SEED], 3)[0])


def test_latents_are_standard_normal() -> None:
    sample = latents(range(2000), 50).ravel()
    assert scipy.stats.kstest(sample, "norm").pvalue > 0.01


def test_uniform_noise_fills_the_interval() -> None:
    sample = latents(range(2000), 50, noise="uniform").ravel()
    assert scipy.stats.kstest(sample, "uniform", args=(-1, 2)).pvalue > 0.01


def test_the_inverse_cdf_is_exact_to_the_last_digits() -> None:
    tails = 10.0 ** -np.arange(1, 300, 7)
    probability = np.concatenate([np.linspace(0.001, 0.999, 9999), tails, 1 - tails[tails > 1e-15]])
    expected = scipy.special.ndtri(probability)
    np.testing.assert_allclose(inverse_normal_cdf(probability), expected, rtol=4e-15, atol=1e-17)


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_truncation_bounds_every_component_and_keeps_the_order(noise: str) -> None:
    whole = latents(range(500), 20, noise=noise)  # type: ignore[arg-type]
    cut = latents(range(500), 20, 0.6, noise)  # type: ignore[arg-type]
    assert np.abs(cut).max() <= 0.6
    assert np.abs(cut).max() > 0.59
    assert (np.argsort(whole.ravel()) == np.argsort(cut.ravel())).mean() > 0.999


def test_truncation_moves_a_latent_continuously_towards_the_whole_distribution() -> None:
    steps = np.linspace(0.05, 8, 400)
    path = np.stack([latents([3], 32, float(t))[0] for t in steps])
    assert np.abs(np.diff(path, axis=0)).max() < 0.05
    np.testing.assert_array_equal(path[-1], latents([3], 32)[0])


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.5])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed {seed}: allowed are whole numbers from 0 to {MAX_SEED}"):
        latents([seed], 4)


@pytest.mark.parametrize("truncation", [0.0, -1.0, 9.0, float("nan")])
def test_a_truncation_out_of_range_is_refused(truncation: float) -> None:
    with pytest.raises(ValueError, match="truncation"):
        latents([1], 4, truncation)
