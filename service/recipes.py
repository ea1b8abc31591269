"""What made an image, told so that it can be made again: in JSON replies, in PNG text chunks."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from service.requests import WorkItem


@dataclass(frozen=True, slots=True)
class Recipe:
    """A work item and the model version that carries it out."""

    model: str  # name@digest
    class_names: tuple[str, ...]
    item: WorkItem

    def common(self) -> dict[str, Any]:
        """What all images of the item share: model, class or mix, truncation."""
        classes, names, truncation = self.item.classes, self.class_names, self.item.truncation
        told: dict[str, Any] = {"model": self.model}
        if isinstance(classes, int):
            told["label"] = names[classes]
        elif len(present := classes.nonzero()[0].tolist()) == 1:
            told["label"] = names[present[0]]
        else:
            told["mix"] = {names[index]: float(classes[index]) for index in present}
        return told if truncation is None else {**told, "truncation": truncation}

    def seed(self, place: int) -> int | None:
        """The seed of one image; None where its latent was given."""
        return self.item.seeds[place] if self.item.seeds else None

    def image(self, place: int) -> dict[str, Any]:
        """All of one image: with its seed, or its latent as base64url of little-endian float32."""
        if self.item.latent is None:
            return {**self.common(), "seed": self.item.seeds[place]}
        return {**self.common(), "latent": encode_latent(self.item.latent[place].astype("<f4").tobytes())}

    def sheet(self) -> dict[str, Any]:
        """All of a contact sheet: the first image's recipe and how many there are."""
        count = self.item.count
        return self.image(0) if count == 1 else {**self.image(0), "n": count}


def encode_latent(content: bytes) -> str:
    """base64url without padding, as in links."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
