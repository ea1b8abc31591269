"""What a generator is: its class names, its sizes, and the names of its graph's tensors."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# The names of the exported graph's tensors, the same in every runtime.
LATENT = "latent"  # [N, latent_dim] float32
CLASS_VECTOR = "class_vector"  # [N, num_classes] float32, one-hot or any mixture
IMAGES = "images"  # [N, H, W, C] uint8
PROBABILITIES = (
    "probabilities"  # [N, num_classes] float32, of an encoder's graph: images in; latent and this out
)

Label = int | str
Noise = Literal["gaussian", "uniform"]


class SpecError(ValueError):
    """A specification that describes no generator."""


class UnknownLabel(ValueError):
    """A label that is no class of the generator."""


@dataclass(frozen=True)
class GeneratorSpec:
    """The shape of a conditional generator: what goes in, what comes out.

    Raises SpecError when a field's value makes no sense.
    """

    class_names: tuple[str, ...]
    image_size: int  # pixels, height and width
    channels: Literal[1, 3]  # grey or RGB
    latent_dim: int
    noise: Noise = "gaussian"  # what latents are drawn from: N(0, 1), or U(-1, 1)

    def __post_init__(self) -> None:
        names = self.class_names
        if not 2 <= len(names) <= 1000:
            raise SpecError(f"{len(names)} classes: a conditional generator has 2 to 1,000")
        if bad := [name for name in names if not isinstance(name, str) or not name.strip()]:
            raise SpecError(f"class name {bad[0]!r} is empty: every class needs a name")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SpecError(f"class name {twice[0]!r} is used twice: names must differ")
        if not 4 <= self.image_size <= 1024:
            raise SpecError(f"image_size {self.image_size}: allowed are 4 to 1,024 pixels")
        if self.channels not in (1, 3):
            raise SpecError(f"channels {self.channels}: allowed are 1 (grey) and 3 (RGB)")
        if not 1 <= self.latent_dim <= 4096:
            raise SpecError(f"latent_dim {self.latent_dim}: allowed are 1 to 4,096")
        if self.noise not in ("gaussian", "uniform"):
            raise SpecError(f"noise {self.noise!r}: allowed are 'gaussian' and 'uniform'")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def slugs(self) -> tuple[str, ...]:
        """Each class name as a word for a path: lower case ASCII, unique, never only digits."""
        slugs: list[str] = []
        for index, name in enumerate(self.class_names):
            ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
            word = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-") or f"class-{index}"
            if word.isdigit():
                word = f"class-{word}"
            slug, number = word, index
            while slug in slugs or (slug in self.class_names and slug != name):
                slug, number = f"{word}-{number}", number + 1
            slugs.append(slug)
        return tuple(slugs)

    @cached_property
    def _index_of(self) -> dict[str, int]:
        by_slug = {slug: index for index, slug in enumerate(self.slugs)}
        by_name = {name: index for index, name in enumerate(self.class_names)}
        return by_slug | by_name

    def class_index(self, label: Label) -> int:
        """The index of a class: an integer is the index, a string is the name or its slug.

        Raises UnknownLabel.
        """
        if type(label) is int and 0 <= label < self.num_classes:
            return label
        if isinstance(label, str) and label in self._index_of:
            return self._index_of[label]
        if isinstance(label, np.integer) and 0 <= label < self.num_classes:
            return int(label)
        shown = ", ".join(self.class_names[:12]) + (", ..." if self.num_classes > 12 else "")
        hint = " (an index goes without quotes)" if isinstance(label, str) and label.isdecimal() else ""
        raise UnknownLabel(
            f"label {reprlib.repr(label)} is not a class: use 0..{self.num_classes - 1}{hint} or one of "
            f"{shown}"
        )

    @cached_property
    def one_hot(self) -> npt.NDArray[np.float32]:
        """The class vector of each class, float32 [num_classes, num_classes], read-only."""
        identity = np.eye(self.num_classes, dtype=np.float32)
        identity.flags.writeable = False
        return identity

    def class_vector(self, label: Label) -> npt.NDArray[np.float32]:
        """One-hot, float32 [num_classes], read-only. Raises UnknownLabel."""
        row: npt.NDArray[np.float32] = self.one_hot[self.class_index(label)]
        return row

    def class_vectors(self, labels: Sequence[Label]) -> npt.NDArray[np.float32]:
        """One-hot rows, float32 [N, num_classes]. Raises UnknownLabel."""
        indices = np.array([self.class_index(label) for label in labels], np.intp)
        rows: npt.NDArray[np.float32] = self.one_hot[indices]
        return rows

    def mix_vector(self, mix: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """A mixture of classes, weights normalised to sum 1, float32 [num_classes].

        Raises UnknownLabel; ValueError for weights that are negative, not finite, or all zero.
        """
        weights = np.zeros(self.num_classes, np.float64)
        for label, weight in mix.items():
            if not (np.isfinite(weight) and 0 <= weight <= 1e6):
                raise ValueError(f"mix weight {weight!r} of {label!r}: allowed are 0 to 1,000,000")
            is_index = label not in self._index_of and label.isdecimal() and len(label) < 5
            index = int(label) if is_index else label
            weights[self.class_index(index)] += weight
        if weights.sum() <= 0:
            raise ValueError("mix has no positive weight: give at least one class more than 0")
        normalised: npt.NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
        return normalised

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back, with the slugs for those who only look."""
        return asdict(self) | {"class_names": list(self.class_names), "slugs": list(self.slugs)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> GeneratorSpec:
        """The specification that `to_json` wrote. Raises SpecError."""
        try:
            known = {key: fields[key] for key in cls.__dataclass_fields__}
            return cls(**known | {"class_names": tuple(known["class_names"])})
        except (KeyError, TypeError) as error:
            raise SpecError(f"the specification is not complete: {error}") from error
