"""TensorRT on an NVIDIA GPU, with an engine that `python -m export engine` has built.

Each batch size of the engine, a bucket, has two slots: while the pixels of one batch are copied and encoded
the next is computed. A batch is filled up to the next bucket; what fills it is zeros and goes nowhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generator.artifact import SHORT_DIGEST, Artifact
from generator.engines import DeviceLost, EngineError, Wanted
from generator.engines.cache import ANY_GPU, PLAN, CacheEntry, EngineKey, find_engines
from generator.engines.cuda import Cuda, Gpu, OutOfMemory, find_cuda
from generator.engines.parity import PixelParity, measure_pixel_parity
from generator.engines.pool import SlotPool
from generator.engines.slots import Profile, Slot
from generator.engines.tensorrt_log import collecting_logger
from generator.pixels import Pixels
from generator.spec import CLASS_VECTOR, IMAGES, LATENT

SLOTS = 2  # of a bucket
RUNTIMES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}  # name -> module, the best first
PARITY_BATCHES = (1, 3, 64)


@dataclass(frozen=True)
class Hardware:
    """What TensorRT runs on: the GPU, and the modules of TensorRT by their runtime, tensorrt-11.4.0.106."""

    cuda: Cuda
    runtimes: Mapping[str, Any]


def find_hardware() -> Hardware:
    """Raises EngineError with what is missing."""
    try:
        cuda, runtimes = find_cuda(), find_runtimes()
    except EngineError as error:
        raise EngineError(f"TensorRT cannot be used: {error}") from error
    if not runtimes:
        raise EngineError("TensorRT cannot be used: the package tensorrt is missing, install the extra gpu")
    return Hardware(cuda, runtimes)


def find_runtimes(names: Sequence[str] = tuple(RUNTIMES)) -> dict[str, Any]:
    """The modules of TensorRT that are installed, of those in question."""
    found = {}
    for name in names:
        try:
            trt = importlib.import_module(RUNTIMES[name])
        except (ImportError, OSError):  # OSError: its libraries are missing
            continue
        found[f"{name}-{trt.__version__}"] = trt
    return found


class TensorrtEngine:
    """An engine of TensorRT; two calls may be made at once."""

    calls_at_once = SLOTS

    def __init__(
        self,
        artifact: Artifact,
        threads: int | None = None,
        *,
        wanted: Wanted | None = None,
        hardware: Hardware | None = None,
        use_graphs: bool = True,
    ) -> None:
        """Takes the engine of the cache that fits; `threads` is for engines on a CPU.

        Raises EngineError with why none fits.
        """
        wanted = wanted or Wanted()
        hardware = hardware or find_hardware()
        self._spec, self._cuda, self._use_graphs = artifact.spec, hardware.cuda, use_graphs
        self._fixed = wanted.fixed_batch
        self._pool = SlotPool(splits=self._fixed is None)
        self.notes: list[str] = []  # what is not as it should be, yet does not hinder
        gpu = self._cuda.gpu()
        precision = self._open(artifact, wanted, gpu, hardware.runtimes).key.precision
        self.best_batch = self._pool.buckets[-1]
        graphs = "CUDA graphs" if self._pool.has_graphs else "no CUDA graphs"
        self.choice = "; ".join(
            [f"TensorRT on {gpu.name}, the first choice, in {precision} with {graphs}", *self.notes]
        )

    def _open(self, artifact: Artifact, wanted: Wanted, gpu: Gpu, runtimes: Mapping[str, Any]) -> CacheEntry:
        """Takes the first engine that fits, can be opened and makes the right pixels.

        Raises EngineError with what each one lacks.
        """
        if wanted.precision and not artifact.graph_of(wanted.precision):
            raise EngineError(
                f"TensorRT cannot compute in {wanted.precision}: {artifact.opened_by} has no graph in it. "
                f"`python -m export complete {artifact.opened_by}` adds one, if it is good enough"
            )
        engines, reasons = find_engines(wanted.cache, artifact.manifest.digest)
        order = list(runtimes)
        fitting = []
        for cached in engines:
            if reason := misfit(cached.key, artifact, wanted, gpu, runtimes):
                reasons.append(f"{cached.path.name} {reason}")
            else:
                fitting.append(cached)
        # fp16 is before fp32 in the alphabet too.
        fitting.sort(key=lambda one: (order.index(one.key.runtime), one.key.precision, -one.key.buckets[-1]))
        for cached in fitting:
            try:
                self._load(cached, runtimes[cached.key.runtime])
                self.key = self._key_of(cached, gpu)
                self.parity = cached.record.parity or self._measure(artifact)
                return cached
            except DeviceLost:
                raise
            except EngineError as error:
                self._pool.close()
                self.notes.clear()
                reasons.append(str(error))
        told = "; ".join(reasons) if reasons else f"{wanted.cache} has none of {artifact.manifest.id}"
        raise EngineError(
            f"TensorRT has no engine for {gpu.name}: {told}. `python -m export engine {artifact.opened_by}` "
            "builds one"
        )

    def _load(self, cached: CacheEntry, trt: Any) -> None:
        """Deserializes an engine and makes its slots. Raises EngineError."""
        logger = collecting_logger(trt)
        plan = cached.read_plan()  # verified: whatever is in it runs
        runtime = trt.Runtime(logger)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError(f"TensorRT cannot open {cached.path / PLAN}: {logger.take_error()}")
        names = {engine.get_tensor_name(number) for number in range(engine.num_io_tensors)}
        if names != {LATENT, CLASS_VECTOR, IMAGES}:
            raise EngineError(f"{cached.path / PLAN} has the tensors {sorted(names)}: it is no generator's")
        if engine.num_optimization_profiles != len(cached.key.buckets):
            raise EngineError(f"{cached.path / PLAN} has other batch sizes than its manifest says")
        self._keep = logger, runtime, engine  # as long as the contexts live
        for number, bucket in enumerate(cached.key.buckets):
            if self._fixed in (None, bucket):
                profile = Profile(engine, number, bucket, logger.take_error)
                try:
                    self._add_slots(profile)
                except OutOfMemory as error:
                    if not self._pool.buckets:
                        raise
                    self.notes.append(f"batches of {self._pool.buckets[-1]} at most, for {error}")
                    return

    def _key_of(self, cached: CacheEntry, gpu: Gpu) -> str:
        key, plan = cached.key, cached.record.files[PLAN][:SHORT_DIGEST]
        fixed = f"-fixed{self._fixed}" if self._fixed else ""
        return f"{key.runtime}-{key.precision}-{gpu.name}-sm{gpu.compute_capability}{fixed}-{plan}"

    def _add_slots(self, profile: Profile) -> None:
        slots: list[Slot] = []
        try:
            for _ in range(SLOTS):
                slots.append(Slot(self._cuda, profile, self._spec, self._use_graphs))
        except EngineError:
            for slot in slots:
                slot.close()
            raise
        self._pool.add(profile.bucket, slots)

    def _measure(self, artifact: Artifact) -> PixelParity:
        """Parity of an engine that was built where it could not run. Raises EngineError."""
        from generator.engines.onnxruntime import OnnxruntimeEngine  # noqa: PLC0415, seldom needed

        return measure_pixel_parity(self, OnnxruntimeEngine(artifact), self._spec, PARITY_BATCHES)

    def generate(self, latent: npt.NDArray[np.float32], class_vector: npt.NDArray[np.float32]) -> Pixels:
        """Any number of images: what is more than the largest bucket goes in several batches."""
        size = self._spec.image_size
        images = np.empty((len(latent), size, size, self._spec.channels), np.uint8)
        self._pool.run(latent, class_vector, images)
        return images


def misfit(
    key: EngineKey, artifact: Artifact, wanted: Wanted, gpu: Gpu, runtimes: Mapping[str, Any]
) -> str | None:
    """Why an engine cannot be taken here, as the end of a sentence; None where it can."""
    graph = artifact.graph_of(key.precision)
    if graph is None or artifact.manifest.files[graph.name] != key.graph_sha256:
        return "was built of another graph than the artifact has"
    if wanted.precision not in (None, key.precision):
        return f"is {key.precision}, and {wanted.precision} is wanted"
    if wanted.fixed_batch is not None and wanted.fixed_batch not in key.buckets:
        return f"has no batch of {wanted.fixed_batch}, only of {', '.join(map(str, key.buckets))}"
    if key.gpu not in (ANY_GPU, gpu.name) or key.compute_capability != gpu.compute_capability:
        name = "any GPU" if key.gpu == ANY_GPU else key.gpu
        return f"was built for {name} of compute capability {key.compute_capability}, this is {gpu.name} " + (
            f"of {gpu.compute_capability}"
        )
    if key.runtime not in runtimes:
        return f"needs {key.runtime}, and there is {' and '.join(runtimes)}"
    return None
