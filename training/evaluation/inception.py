"""The Inception network of FID and of the Inception Score, from a file that the user has.

That is `inception-2015-12-05.pt`, the TorchScript of NVIDIA's stylegan2-ada-pytorch: it takes uint8
images, resizes them itself as the original TensorFlow code did, and gives 2,048 features or 1,008 classes.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.config import ConfigError

FEATURES = 2048
SCORE_PARTS = 10  # the Inception Score is the mean over so many parts (Salimans et al. 2016)


class Inception:
    """uint8 images [N, C, H, W] -> features [N, 2048], or with `shares` those of classes [N, 1008].

    Raises ConfigError for a file that is not this network.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise ConfigError(
                f"--inception {file}: there is no such file; it takes inception-2015-12-05.pt of NVIDIA's "
                "stylegan2-ada-pytorch. Without it FID and IS are left out, all else is measured"
            )
        try:
            with warnings.catch_warnings():
                # torch has no other reader of this format.
                warnings.simplefilter("ignore", DeprecationWarning)
                network = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
            self._network: Any = network.eval()
            probe = self(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigError(f"--inception {file} is not inception-2015-12-05.pt: {reason}") from error
        if probe.shape != (1, FEATURES):
            raise ConfigError(
                f"--inception {file} is not inception-2015-12-05.pt: of one image it makes "
                f"{list(probe.shape)}, not [1, {FEATURES}] features"
            )

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        features: Tensor = self._network(images.expand(-1, 3, -1, -1), return_features=True)
        return features

    @torch.no_grad()
    def shares(self, images: Tensor) -> Tensor:
        """The bias before the softmax is left out, as in the original score."""
        shares: Tensor = self._network(images.expand(-1, 3, -1, -1), no_output_bias=True)
        return shares


def inception_score(shares: Tensor) -> float:
    """exp E[KL(p(y|x) || p(y))], the mean over ten parts, of class shares [N, K] (Salimans et al. 2016)."""
    scores = [
        (part * (part.clamp(min=1e-30).log() - part.mean(0).clamp(min=1e-30).log())).sum(1).mean().exp()
        for part in shares.double().chunk(SCORE_PARTS)
    ]
    return float(torch.stack(scores).mean())
