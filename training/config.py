"""Every option of a training run, its unit and its default, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from generator.spec import Noise

Loss = Literal["hinge", "nonsaturating"]
Fit = Literal["pad", "resize"]

MIN_NETWORK_SIZE = 16
MAX_NETWORK_SIZE = 128


class ConfigError(ValueError):
    """Options that make no training run."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run. The command line is made from these fields."""

    data: str = ""
    """Where the images are: a folder with one folder per class, an .npz (images, labels, class_names), a
    folder of MNIST-style IDX files, hf:NAME (a Hugging Face data set), or 'shapes' (drawn on the fly)."""
    out: str = ""
    """The run folder; empty means runs/PRESET."""
    name: str = "generator"
    """What the generator will be called."""
    data_name: str = ""
    """The data set's name, for the record; empty means the last part of --data."""
    data_licence: str = "not stated"
    """The data set's licence, for the record."""
    data_attribution: str = ""
    """Whom the data set's licence asks to name."""

    image_size: int | None = None
    """Resize images to this many pixels first; None keeps the data's own size."""
    fit: Fit = "pad"
    """For sizes other than 16, 32, 64, 128: pad up to the next and crop back, or resize up to the next."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 RGB; None means what the data has."""
    mirror: bool = False
    """Also train on left-right mirrored images."""

    latent_dim: int = 64
    """Components of the latent vector."""
    noise: Noise = "gaussian"
    """What latents are drawn from."""
    generator_width: int = 48
    """Feature maps of the generator's layer at half the output size; each halving doubles them, to 8 x."""
    discriminator_width: int = 48
    """Feature maps of the discriminator's first layer; each halving doubles them, to 8 x."""
    spectral_norm: bool = True
    """Spectral normalisation of the discriminator (Miyato et al. 2018)."""

    loss: Loss = "hinge"
    """The objective."""
    batch: int = 64
    """Images a step."""
    total_kimg: float = 1000
    """Length of the run in thousands of real images shown."""
    generator_lr: float = 2e-4
    """Adam's learning rate for the generator."""
    discriminator_lr: float = 4e-4
    """Adam's learning rate for the discriminator."""
    beta1: float = 0.0
    """Adam's decay of the mean gradient."""
    beta2: float = 0.9
    """Adam's decay of the squared gradient."""
    ema_halflife_kimg: float = 10
    """Half-life of the generator weights' moving average; shorter early on (1/20 of the run so far)."""

    seed: int = 0
    """Of weights, data order and latents."""
    checkpoint_kimg: float = 50
    """A checkpoint and a sample sheet every so many thousand images."""
    stats_kimg: float = 5
    """A line in stats.jsonl every so many thousand images."""
    best_kimg: float | None = None
    """A small evaluation every so many thousand images keeps the best checkpoint, best.pt; None: none."""
    threads: int | None = None
    """CPU threads; None means all cores."""
    device: str = "auto"
    """auto, cpu, or cuda."""

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "latent_dim": (1, 4096),
            "generator_width": (1, 1024),
            "discriminator_width": (1, 1024),
            "batch": (2, 65536),
            "total_kimg": (0.001, 1e9),
            "generator_lr": (1e-9, 1),
            "discriminator_lr": (1e-9, 1),
            "beta1": (0, 0.9999),
            "beta2": (0, 0.99999),
            "ema_halflife_kimg": (0, 1e6),
            "seed": (0, 2**32 - 1),
            "checkpoint_kimg": (0.001, 1e9),
            "stats_kimg": (0.001, 1e9),
        }
        for field, (low, high) in limits.items():
            value = getattr(self, field)
            if not low <= value <= high:
                raise ConfigError(f"--{field.replace('_', '-')} {value}: allowed are {low:g} to {high:g}")
        if self.image_size is not None and not 4 <= self.image_size <= MAX_NETWORK_SIZE:
            raise ConfigError(f"--image-size {self.image_size}: allowed are 4 to {MAX_NETWORK_SIZE} pixels")
        if self.best_kimg is not None and not 0.001 <= self.best_kimg <= 1e9:
            raise ConfigError(f"--best-kimg {self.best_kimg:g}: allowed are 0.001 to 1e+09, or None")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads {self.threads}: at least 1")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> TrainConfig:
        """The configuration that `to_json` wrote. Raises ConfigError for a key that is not an option."""
        if unknown := sorted(set(fields) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"{unknown[0]!r} is not an option of this version's training")
        return cls(**fields)


PRESETS: dict[str, TrainConfig] = {
    # Seconds: proves the installation on shapes that it draws itself.
    "smoke": TrainConfig(
        data="shapes", name="shapes", latent_dim=16, generator_width=16, discriminator_width=16, batch=32,
        generator_lr=1e-3, discriminator_lr=1e-3, total_kimg=30, checkpoint_kimg=10, stats_kimg=1,
        ema_halflife_kimg=2,
    ),
    "fashion-28": TrainConfig(name="fashion", total_kimg=1600, best_kimg=100),
    "digits-28": TrainConfig(name="digits", total_kimg=1000, best_kimg=100),
    "cifar-32": TrainConfig(
        name="cifar", mirror=True, latent_dim=128, generator_width=64,
        discriminator_width=64, total_kimg=4000, best_kimg=200,
    ),
    "rgb-64": TrainConfig(
        channels=3, latent_dim=128, generator_width=32, discriminator_width=32, total_kimg=2000,
        best_kimg=100,
    ),
}  # fmt: skip
