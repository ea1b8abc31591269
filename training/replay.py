"""Earlier generated images, shown to the discriminator again (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Replay:
    """At most `size` generated images and their labels; what comes in displaces what is there at random."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None  # [n, ...], n up to `size`
        self.labels: Tensor | None = None  # int64 [n]

    def mix(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The second half of a batch changed for earlier images; then the batch's own half is kept for later.

        As it is until `size` images have come together.
        """
        if self.images is not None and self.labels is not None:  # a checkpoint's are on the CPU
            self.images, self.labels = self.images.to(images.device), self.labels.to(images.device)
        half = len(images) // 2
        new_images, new_labels = images[half:], labels[half:]
        if self.images is None or self.labels is None:
            self.images, self.labels = new_images[: self.size].clone(), new_labels[: self.size].clone()
            return images, labels
        if len(self.images) < self.size:
            room = self.size - len(self.images)
            self.images = torch.cat([self.images, new_images[:room]])
            self.labels = torch.cat([self.labels, new_labels[:room]])
            return images, labels
        places = torch.randperm(self.size, generator=rng, device=images.device)[: len(new_images)]
        earlier_images, earlier_labels = self.images[places], self.labels[places]
        self.images[places], self.labels[places] = new_images[: len(places)], new_labels[: len(places)]
        keep = len(images) - len(places)
        return torch.cat([images[:keep], earlier_images]), torch.cat([labels[:keep], earlier_labels])

    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images, "labels": self.labels}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.images, self.labels = state["images"], state["labels"]
