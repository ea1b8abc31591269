"""Real images in the order of a run; for a GPU the next batch is made ready while it computes."""

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

    An epoch has each image once; balanced, it is as long, but has equally many images of each class.

    The order, and which images are mirrored, depend on seed and place alone. For a GPU a thread makes
    ready the batch to come, in pinned memory, from where it is copied while the GPU computes. A CPU
    is busy with the step itself: there a batch is made when it is asked for.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        config: TrainConfig,
        device: torch.device,
        team: Team,
        ahead: bool | None = None,
    ) -> None:
        """`ahead`: by a thread; None means for a GPU."""
        self.config, self.device, self.team = config, device, team
        self.waited_s = 0.0  # that steps have waited for data so far
        self._images: npt.NDArray[np.uint8] = images.numpy()
        self._labels: npt.NDArray[np.int64] = labels.numpy()
        self._ahead = device.type == "cuda" if ahead is None else ahead
        self._thread = ThreadPoolExecutor(1, "feed")  # starts with the first batch that it is given
        self._epoch = -1
        self.seek(0)

    def seek(self, images_shown: int) -> None:
        """Goes on after so many images of the run, whole batches."""
        self._number = images_shown // self.config.batch
        self._coming = self._make_ready() if self._ahead else None

    def next(self) -> Batch:
        """This process's share of the next batch: float32 [B, C, size, size] in [-1, 1], and labels."""
        began = time.perf_counter()
        pixels, labels = self._coming.result() if self._coming else self._batch(self._number)
        self.waited_s += time.perf_counter() - began
        self._number += 1
        self._coming = self._make_ready() if self._ahead else None
        images = pixels.to(self.device, non_blocking=True).float() / HALF_RANGE - 1
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(images, labels.to(self.device, non_blocking=True))

    def _make_ready(self) -> Future[tuple[Tensor, Tensor]]:
        return self._thread.submit(self._batch, self._number)

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Runs in the thread, if there is one: uint8 [B, C, size, size] and int64 [B]."""
        batch = self.config.batch
        epoch, position = divmod(number, len(self._labels) // batch)
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
            self._order = self._shuffled(rng)
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

    def _shuffled(self, rng: torch.Generator) -> Tensor:
        """The rows of an epoch, int64 [N]."""
        count = len(self._labels)
        if not self.config.balance:
            return torch.randperm(count, generator=rng)
        classes = [
            torch.from_numpy(np.flatnonzero(self._labels == label)) for label in np.unique(self._labels)
        ]
        each = -(-count // len(classes))
        rows = torch.stack([_repeated(rows, each, rng) for rows in classes])
        # Cut off at the end, where the last image of each class is.
        chosen = rows.T.flatten()[:count]
        return chosen[torch.randperm(count, generator=rng)]


def _repeated(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """So many of the rows, shuffled, each as often as any other, give or take one."""
    rounds = -(-count // len(rows))
    return torch.cat([rows[torch.randperm(len(rows), generator=rng)] for _ in range(rounds)])[:count]
