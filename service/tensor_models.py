"""The two models that each generator is in the Open Inference Protocol: raw tensors, and by label.

`fashion` is the graph itself: latent and class_vector in, images out. `fashion.by_label` takes a seed and
a label for each image, as every other route does, and makes the same images.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.artifact import SHORT_DIGEST
from generator.latents import MAX_SEED, MAX_TRUNCATION
from generator.spec import CLASS_VECTOR, IMAGES, LATENT, GeneratorSpec, UnknownLabel
from service.errors import BadRequest, NotFound
from service.models import Models, ServedModel
from service.requests import MAX_LATENT
from service.tensors import BYTES, Tensor, TensorType
from service.work import WorkItem

BY_LABEL = ".by_label"
PLATFORM = "onnx_onnxv1"  # the protocol's name for an ONNX graph

# Whole numbers and zeros are valid seeds and labels: tools that make up data for the declared datatypes,
# the first ones, get images.
_BY_LABEL_INPUTS = (
    TensorType("seed", ("UINT32", "UINT64", "INT64", "INT32"), (1,)),
    TensorType("label", ("INT64", "INT32", "UINT32", "UINT64", BYTES), (1,)),
    TensorType("truncation", ("FP32", "FP64"), (1,), optional=True),
)


@dataclass(frozen=True)
class TensorModel:
    """A generator as the protocol sees it."""

    served: ServedModel
    name: str

    @property
    def version(self) -> str:
        """The artifact's digest, shortened as in links: the same version makes the same images."""
        return self.served.artifact.manifest.digest[:SHORT_DIGEST]

    @property
    def inputs(self) -> tuple[TensorType, ...]:
        spec = self.served.spec
        if self.name != self.served.name:
            return _BY_LABEL_INPUTS
        latent = TensorType(LATENT, ("FP32",), (spec.latent_dim,))
        return latent, TensorType(CLASS_VECTOR, ("FP32",), (spec.num_classes,))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one image: height, width, channels."""
        spec = self.served.spec
        return spec.image_size, spec.image_size, spec.channels

    def metadata(self) -> dict[str, Any]:
        """The $metadata_model_response of the protocol."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": PLATFORM,
            "inputs": [_tensor(kind.name, kind.datatypes[0], kind.row) for kind in self.inputs],
            "outputs": [_tensor(IMAGES, "UINT8", self.image_shape)],
        }

    def config(self, max_rows: int) -> dict[str, Any]:
        """What Triton's model configuration extension tells: also which inputs are optional."""
        return {
            "name": self.name,
            "platform": PLATFORM,
            "backend": self.served.engine.key.split("-")[0],
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": max_rows,
            "input": [
                {
                    "name": kind.name,
                    "data_type": _config_type(kind.datatypes[0]),
                    "dims": kind.row,
                    "optional": kind.optional,
                }
                for kind in self.inputs
            ],
            "output": [{"name": IMAGES, "data_type": _config_type("UINT8"), "dims": self.image_shape}],
        }

    def work_item(self, tensors: Mapping[str, Tensor]) -> WorkItem:
        """The work that the inputs ask for; their types and shapes are checked already. Raises BadRequest."""
        if LATENT in tensors:
            return WorkItem(_bounded(CLASS_VECTOR, tensors), latent=_bounded(LATENT, tensors))
        vectors = _class_vectors(tensors["label"], self.served.spec)
        return WorkItem(vectors, _seeds(tensors["seed"]), None, _truncation(tensors.get("truncation")))


def find_tensor_model(models: Models, name: str, version: str | None) -> TensorModel:
    """Raises NotFound for an unknown model or version, Unready before the models are warm."""
    try:
        model = TensorModel(models.find(name.removesuffix(BY_LABEL)), name)
    except NotFound as error:
        raise NotFound(f"{error.detail}, and each of them with {BY_LABEL} after its name") from None
    if version is not None and version != model.version:
        raise NotFound(
            f"model {name} has no version {reprlib.repr(version)}: there is {model.version}; or leave it out"
        )
    return model


def _tensor(name: str, datatype: str, row: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *row]}


def _config_type(datatype: str) -> str:
    return f"TYPE_{datatype}"


def _bounded(name: str, tensors: Mapping[str, Tensor]) -> npt.NDArray[np.float32]:
    """Any mixture goes, negative weights too, but within bounds that no layer can overflow on."""
    tensor = tensors[name]
    if not np.all(np.abs(tensor) <= MAX_LATENT):
        worst = tensor[~(np.abs(tensor) <= MAX_LATENT)][0]
        raise BadRequest(f"input {name} has the value {worst:g}: allowed are -{MAX_LATENT:g}..{MAX_LATENT:g}")
    return tensor


def _seeds(tensor: Tensor) -> tuple[int, ...]:
    seeds: tuple[int, ...] = tuple(tensor.tolist())
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise BadRequest(f"input seed has the value {seed}: allowed are 0 to {MAX_SEED}")
    return seeds


def _class_vectors(tensor: Tensor, spec: GeneratorSpec) -> npt.NDArray[np.float32]:
    try:
        return spec.class_vectors(tensor.tolist())
    except UnknownLabel as error:
        raise BadRequest(f"input label: {error}") from None


def _truncation(tensor: Tensor | None) -> tuple[float, ...] | None:
    if tensor is None:
        return None
    for bound in tensor.tolist():
        if not 0 < bound <= MAX_TRUNCATION:
            raise BadRequest(
                f"input truncation has the value {bound:g}: allowed are numbers above 0, up to "
                f"{MAX_TRUNCATION:g}, which is as good as none"
            )
    return tuple(tensor.tolist())
