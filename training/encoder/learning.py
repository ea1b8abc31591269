"""Learning to encode: the generator makes as many images as are wanted, each with its latent and class.

The loss is how far the reconstruction is from the image, in pixels, through the generator itself (Zhu et al.
2016, "Generative visual manipulation on the natural image manifold", section 3.2); how far the latent is
from the true one, which keeps latents where the generator was trained; and the class's cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from generator import Generator
from generator.pixels import to_network
from training.checkpoint import CheckpointError
from training.encoder.checkpoint import FILE_NAME, EncoderCheckpoint, EncoderOptions
from training.encoder.differentiable import network_of
from training.encoder.network import Encoder

PIXEL_WEIGHT = 30.0  # of the squared error of pixels in [-1, 1], beside the latent's, whose variance is 1
PIXEL_PART = 3  # one image in so many goes through the generator, which costs more than all the rest
CLASS_WEIGHT = 0.3
WARM_UP = 0.02  # share of the run in which the learning rate rises
MAX_LENGTH = 10.0  # of a step's gradient

Report = Callable[[int, dict[str, float]], None]  # hears the images shown so far and the last losses


class EncoderTrainer:
    """One run, from its beginning or from a checkpoint; each batch follows from the seed and its number."""

    def __init__(
        self, generator: Generator, options: EncoderOptions, begun: EncoderCheckpoint | None = None
    ) -> None:
        """Raises UnknownGraph."""
        self._generator, self._options, self._spec = generator, options, generator.spec
        self._network = network_of(generator.artifact)
        torch.manual_seed(options.seed)
        self._encoder = Encoder(self._spec, options.features)
        self._optimizer = torch.optim.AdamW(self._encoder.parameters(), options.learning_rate)
        self.images_shown = 0
        if begun is not None:
            self._encoder.load_state_dict(begun.network)
            self._optimizer.load_state_dict(begun.optimizer)
            self.images_shown = begun.images_shown

    @property
    def is_finished(self) -> bool:
        return self.images_shown >= self._options.total_kimg * 1000

    def step(self) -> dict[str, float]:
        """Learns from one batch; its losses."""
        images, latent, labels = self._draw()
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
        found, logits = self._encoder.train()(images.permute(0, 3, 1, 2))
        some = slice(-(-len(labels) // PIXEL_PART))
        vectors = one_hot(labels[some], self._spec.num_classes).float()
        losses = {
            "pixels": mse_loss(self._network.values(found[some], vectors), images[some]),
            "latent": mse_loss(found, latent),
            "class": cross_entropy(logits, labels),
        }
        total = PIXEL_WEIGHT * losses["pixels"] + losses["latent"] + CLASS_WEIGHT * losses["class"]
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._encoder.parameters(), MAX_LENGTH)
        self._optimizer.step()
        self.images_shown += self._options.batch
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def checkpoint(self) -> EncoderCheckpoint:
        return EncoderCheckpoint(
            self._generator.artifact.manifest.digest,
            self._spec,
            self._options,
            self.images_shown,
            self._encoder.state_dict(),
            self._optimizer.state_dict(),
        )

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images [N, H, W, C] in [-1, 1] as the engine makes them, their latents [N, D] and labels [N]."""
        spec, count = self._spec, self._options.batch
        rng = np.random.default_rng((self._options.seed, self.images_shown))
        shape = count, spec.latent_dim
        drawn = rng.uniform(-1, 1, shape) if spec.noise == "uniform" else rng.standard_normal(shape)
        latent, labels = drawn.astype(np.float32), rng.integers(spec.num_classes, size=count)
        images = self._generator.images_from(latent, spec.one_hot[labels])
        return torch.from_numpy(to_network(images)), torch.from_numpy(latent), torch.from_numpy(labels)

    def _learning_rate(self) -> float:
        """Rises in a line, then falls to 0 as half a cosine."""
        done = self.images_shown / (self._options.total_kimg * 1000)
        share = done / WARM_UP if done < WARM_UP else (1 + cos(pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
        return self._options.learning_rate * max(share, 1e-3)


def learn(
    generator: Generator, options: EncoderOptions, folder: Path, report: Report, save_kimg: float = 20
) -> bool:
    """Runs to the end, from where the folder's run stopped; False when Ctrl-C stops it, which saves.

    Raises CheckpointError for a folder with another run, UnknownGraph.
    """
    begun = EncoderCheckpoint.load(folder) if (folder / FILE_NAME).exists() else None
    if begun is not None:
        begun.check_is_of(generator.artifact.manifest.digest, folder)
        if begun.options != options:
            raise CheckpointError(f"{folder} has a run of other options, {begun.options}: give another --out")
    trainer = EncoderTrainer(generator, options, begun)
    saved = trainer.images_shown
    try:
        while not trainer.is_finished:
            losses = trainer.step()
            report(trainer.images_shown, losses)
            if trainer.images_shown - saved >= save_kimg * 1000:
                trainer.checkpoint().save(folder)
                saved = trainer.images_shown
    except KeyboardInterrupt:
        trainer.checkpoint().save(folder)
        return False
    trainer.checkpoint().save(folder)
    return True
