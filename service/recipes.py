"""What made an image, told so that it can be made again: in JSON replies, in PNG text chunks."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import msgspec
from msgspec import Struct

from service.requests import WorkItem


class Recipe(Struct, frozen=True, eq=False):
    """A work item and the model version that carries it out."""

    model: str  # name@digest
    class_names: tuple[str, ...]
    item: WorkItem

    def common(self) -> dict[str, Any]:
        """What all images of the item share: model, class or mix, truncation."""
        classes, truncation = self.item.classes, self.item.truncation
        told: dict[str, Any] = {"model": self.model}
        if isinstance(classes, int):
            told["label"] = self.class_names[classes]
        elif len(present := classes.nonzero()[0].tolist()) == 1:
            told["label"] = self.class_names[present[0]]
        else:
            told["mix"] = {self.class_names[index]: float(classes[index]) for index in present}
        return told if truncation is None else {**told, "truncation": truncation}

    def seed(self, place: int) -> int | None:
        """The seed of one image; None where its latent was given."""
        return self.item.seeds[place] if self.item.seeds else None

    def image(self, place: int) -> bytes:
        """All of one image, as JSON in ASCII: with its seed, or its latent as base64url of float32."""
        item = self.item
        if item.latent is not None:
            latent = encode_latent(item.latent[place].astype("<f4").tobytes()).encode()
            return _ascii_json(self.common()) + b',"latent":"%b"}' % latent
        if isinstance(item.classes, int) and item.truncation is None:
            return seed_recipe(self.model, self.class_names[item.classes], item.seeds[place])
        return _ascii_json(self.common()) + b',"seed":%d}' % item.seeds[place]

    def sheet(self) -> bytes:
        """All of a contact sheet: the first image's recipe and how many there are."""
        count = self.item.count
        return self.image(0) if count == 1 else self.image(0)[:-1] + b',"n":%d}' % count


def seed_recipe(model: str, label: str, seed: int) -> bytes:
    """The most frequent recipe: one class and a seed, without truncation."""
    return _label_json(model, label) + b',"seed":%d}' % seed


@functools.lru_cache(maxsize=4096)
def _label_json(model: str, label: str) -> bytes:
    return _ascii_json({"model": model, "label": label})


def _ascii_json(told: dict[str, Any]) -> bytes:
    """Without the last brace; what is not ASCII is escaped: a PNG's text has Latin-1 at most."""
    text = msgspec.json.encode(told)
    return (text if text.isascii() else json.dumps(told, separators=(",", ":")).encode("ascii"))[:-1]


def encode_latent(content: bytes) -> str:
    """base64url without padding, as in links."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
