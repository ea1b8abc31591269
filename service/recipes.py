"""What made an image, told so that it can be made again: in JSON replies, in PNG text chunks."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from service.work import Classes, WorkItem


class Recipe(Struct, frozen=True, eq=False):
    """A work item and the model version that carries it out."""

    model: str  # name@digest
    class_names: tuple[str, ...]
    item: WorkItem
    each: Sequence[Mapping[str, Any]] = ()  # more to tell of each image; its class, where they differ

    def common(self) -> dict[str, Any]:
        """What all images of the item share: model, class or mix, truncation, directions."""
        item = self.item
        told: dict[str, Any] = {"model": self.model}
        if isinstance(item.classes, int) or item.classes.ndim == 1:
            told |= class_told(item.classes, self.class_names)
        if item.truncation is not None:
            told["truncation"] = item.truncation
        if item.directions is not None:
            told["directions"] = {str(index): number for index, number in item.directions.items()}
        return told

    def entry(self, place: int) -> dict[str, Any]:
        """What a list of images tells of one besides."""
        return {"seed": self.seed(place), **(self.each[place] if self.each else {})}

    def seed(self, place: int) -> int | None:
        """The seed of one image; None where its latent was given."""
        return self.item.seeds[place] if self.item.seeds else None

    def image(self, place: int) -> bytes:
        """All of one image, as JSON in ASCII: with its seed, or its latent as base64url of float32."""
        item = self.item
        if item.latent is None and isinstance(item.classes, int) and item.truncation is None:
            return seed_recipe(self.model, self.class_names[item.classes], item.seeds[place])
        return ascii_json({"model": self.model, **self.subject(place)})

    def subject(self, place: int) -> dict[str, Any]:
        """All of one image but the model."""
        item = self.item
        told = {**(self.each[place] if self.each else {}), **self.common()}
        del told["model"]
        if item.seeds:
            return {**told, "seed": item.seeds[place]}
        assert item.latent is not None  # there are seeds or latents
        return {**told, "latent": encode_latent(item.latent[place])}

    def sheet(self) -> bytes:
        """All of a contact sheet: the first image's recipe and how many there are."""
        count = self.item.count
        return self.image(0) if count == 1 else self.image(0)[:-1] + b',"n":%d}' % count


def seed_recipe(model: str, label: str, seed: int) -> bytes:
    """The most frequent recipe: one class and a seed, without truncation."""
    return _label_json(model, label) + b',"seed":%d}' % seed


@functools.lru_cache(maxsize=4096)
def _label_json(model: str, label: str) -> bytes:
    """Without the last brace."""
    return ascii_json({"model": model, "label": label})[:-1]


def class_told(classes: Classes, class_names: Sequence[str]) -> dict[str, Any]:
    """The class of an image, or the classes that it is mixed of; a class vector is [num_classes]."""
    if isinstance(classes, int):
        return {"label": class_names[classes]}
    if len(present := classes.nonzero()[0].tolist()) == 1:
        return {"label": class_names[present[0]]}
    return {"mix": {class_names[index]: float(classes[index]) for index in present}}


def encode_latent(latent: npt.NDArray[np.float32]) -> str:
    """[latent_dim] -> base64url of little-endian float32 without padding, as in links."""
    return base64.urlsafe_b64encode(latent.astype("<f4").tobytes()).rstrip(b"=").decode()


def ascii_json(told: dict[str, Any]) -> bytes:
    """JSON in which what is not ASCII is escaped: a PNG's text has Latin-1 at most."""
    text = msgspec.json.encode(told)
    return text if text.isascii() else json.dumps(told, separators=(",", ":")).encode("ascii")
