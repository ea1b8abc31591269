"""The ring of 8 and the grid of 25 Gaussians, and how many of them a generator found.

PacGAN's protocol (Lin et al. 2018, section 4.1, after VEEGAN, Srivastava et al. 2017): 2,500 generated
points; a point belongs to the nearest mode and is of high quality within 3 standard deviations of its centre;
a mode is found when it has one such point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

JUDGED_POINTS = 2500
WITHIN = 3  # standard deviations


@dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians."""

    name: str
    centres: tuple[tuple[float, float], ...]
    deviation: float  # standard deviation of each along each axis

    @property
    def reach(self) -> float:
        """The centres' greatest coordinate."""
        return max(abs(number) for centre in self.centres for number in centre)

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Points [count, 2]."""
        centres = torch.tensor(self.centres)[torch.randint(len(self.centres), (count,), generator=rng)]
        return centres + self.deviation * torch.randn(count, 2, generator=rng)

    def real_points(self, count: int) -> npt.NDArray[np.float32]:
        """The same points [count, 2] each time, to be shown."""
        points: npt.NDArray[np.float32] = self.draw(count, torch.Generator().manual_seed(0)).numpy()
        return points


@dataclass(frozen=True)
class Coverage:
    """What generated points cover of a mixture."""

    modes: int  # with a point of high quality
    high_quality: float  # share of points


def coverage(points: Tensor, mixture: Mixture) -> Coverage:
    """Of generated points [N, 2]."""
    distance, nearest = torch.cdist(points, torch.tensor(mixture.centres)).min(1)
    good = distance < WITHIN * mixture.deviation
    return Coverage(len(set(nearest[good].tolist())), float(good.float().mean()))


RING = Mixture(
    "ring", tuple((math.cos(2 * math.pi * n / 8), math.sin(2 * math.pi * n / 8)) for n in range(8)), 0.01
)
GRID = Mixture("grid", tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)), 0.05)
MIXTURES = {mixture.name: mixture for mixture in (RING, GRID)}
