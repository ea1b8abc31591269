"""Several images judged together: a pack without variety gives itself away (PacGAN, Lin et al. 2018)."""

from __future__ import annotations

from torch import Tensor


def pack_images(images: Tensor, size: int) -> Tensor:
    """[N, C, ...] -> [N / size, size C, ...]: neighbours in the batch become channels of one input."""
    return images if size == 1 else images.reshape(-1, size * images.shape[1], *images.shape[2:])


def pack_labels(labels: Tensor, size: int) -> Tensor:
    """[N] -> [N / size, size], or [N] as it is for packs of one."""
    return labels if size == 1 else labels.view(-1, size)
