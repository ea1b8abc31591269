"""Real images in the order of a run: the next batch is made ready while the step at hand is computed."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from generator.pixels import HALF_RANGE
from training.config import TrainConfig
from training.game import Batch
from training.team import Team


class Feed:
    """Batches of images uint8 [N, C, size, size] and labels int64 [N], shuffled anew for each epoch.

    The order, and which images are mirrored, depend on seed and place alone. One thread makes ready the batch
    to come; for a GPU it lies in pinned memory, from where it is copied while the GPU computes.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, config: TrainConfig, device: torch.device, team: Team
    ) -> None:
        self.config, self.device, self.team = config, device, team
        self.waited_s = 0.0  # that steps have waited for data so far
        self._images: npt.NDArray[np.uint8] = images.numpy()
        self._labels: npt.NDArray[np.int64] = labels.numpy()
        self._thread = ThreadPoolExecutor(1, "feed")
        self._epoch = -1
        self.seek(0)

    def seek(self, images_shown: int) -> None:
        """Goes on after so many images of the run, whole batches."""
        self._number = images_shown // self.config.batch
        self._coming = self._make_ready()

    def next(self) -> Batch:
        """This process's share of the next batch: float32 [B, C, size, size] in [-1, 1], and labels."""
        began = time.perf_counter()
        pixels, labels = self._coming.result()
        self.waited_s += time.perf_counter() - began
        self._number += 1
        self._coming = self._make_ready()
        images = pixels.to(self.device, non_blocking=True).float() / HALF_RANGE - 1
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(images, labels.to(self.device, non_blocking=True))

    def _make_ready(self) -> Future[tuple[Tensor, Tensor]]:
        return self._thread.submit(self._batch, self._number)

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Runs in the thread: uint8 [B, C, size, size] and int64 [B]."""
        batch = self.config.batch
        epoch, position = divmod(number, len(self._labels) // batch)
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
            self._order = torch.randperm(len(self._labels), generator=rng)
            self._mirrored = (torch.rand(len(self._labels), generator=rng) < 0.5).numpy()
            self._epoch = epoch
        rows = self.team.share(self._order[position * batch : (position + 1) * batch]).numpy()
        pixels = self._images[rows]
        if self.config.mirror:
            turned = self._mirrored[rows]
            pixels[turned] = pixels[turned][..., ::-1]
        images, labels = torch.from_numpy(pixels), torch.from_numpy(self._labels[rows])
        if self.device.type == "cuda":
            return images.pin_memory(), labels.pin_memory()
        return images, labels
