"""The main directions of a generator's latent space, and how far an image is moved along them.

They are those in which the first layer answers most to its input: the eigenvectors of A^T A with the
largest eigenvalues, where A is the layer's weight for the latent (SeFa: Shen and Zhou 2021, "Closed-form
factorization of latent semantics in GANs", arXiv:2007.06600). `export/directions.py` computes them, an
artifact stores them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.latents import Latents

MAX_DIRECTIONS = 32  # that are stored
MAX_COEFFICIENT = 10.0  # of one direction: beyond, no latent that was trained with lies


class DirectionsError(ValueError):
    """Directions that cannot be read, or do not fit a generator."""


@dataclass(frozen=True)
class Directions:
    """Unit vectors at right angles to each other, the strongest first."""

    vectors: npt.NDArray[np.float32]  # [count, latent_dim]
    explained: npt.NDArray[np.float32]  # [count]: of what the first layer answers to any latent, the share

    def __len__(self) -> int:
        return len(self.vectors)

    def shift(self, coefficients: Mapping[int, float]) -> npt.NDArray[np.float64]:
        """What is added to a latent: the sum of coefficient x unit direction, [latent_dim].

        Raises ValueError for a direction that there is not, or a coefficient beyond +-10.
        """
        total = np.zeros(self.vectors.shape[1])
        for index, coefficient in coefficients.items():
            if not 0 <= index < len(self):
                raise ValueError(f"direction {index}: there are 0..{len(self) - 1}")
            if not abs(coefficient) <= MAX_COEFFICIENT:
                raise ValueError(
                    f"direction {index} has the coefficient {coefficient:g}: allowed are "
                    f"-{MAX_COEFFICIENT:g}..{MAX_COEFFICIENT:g}"
                )
            total += coefficient * self.vectors[index].astype(np.float64)
        return total

    def moved(self, latent: Latents, coefficients: Mapping[int, float]) -> Latents:
        """Latents [..., latent_dim] moved along directions. Raises what `shift` raises."""
        return (latent + self.shift(coefficients)).astype(np.float32)

    def to_bytes(self) -> bytes:
        """An .npz file, always the same for the same directions."""
        buffer = io.BytesIO()
        np.savez(buffer, vectors=self.vectors, explained=self.explained)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, latent_dim: int) -> Directions:
        """What `to_bytes` wrote. Raises DirectionsError."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found = cls(arrays["vectors"].astype(np.float32), arrays["explained"].astype(np.float32))
        except Exception as error:  # zipfile's, numpy's and zlib's have no common base
            raise DirectionsError(f"not directions: {error}") from error
        vectors = found.vectors
        if vectors.ndim != 2 or vectors.shape[1] != latent_dim or found.explained.shape != (len(vectors),):
            raise DirectionsError(f"directions of the shape {vectors.shape}: latents have {latent_dim}")
        if not np.allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-3):
            raise DirectionsError("directions that are no unit vectors at right angles to each other")
        return found
