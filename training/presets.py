"""Options for common data, by two recipes: the safe one, and the modern one of R3GAN."""

from __future__ import annotations

from dataclasses import replace

from training.config import TrainConfig


def _modern(safe: TrainConfig, gamma: float) -> TrainConfig:
    """R3GAN's loss, penalties and schedules (Huang et al. 2024) on DCGAN's networks without normalisation."""
    return replace(
        safe, loss="relativistic", generator_norm="none", spectral_norm=False,
        r1=gamma, r1_end=gamma / 10, r2=gamma, r2_end=gamma / 10,
        generator_lr=2e-4, generator_lr_end=5e-5, discriminator_lr=2e-4, discriminator_lr_end=5e-5,
        beta2=0.9, beta2_end=0.99,
        augment=("colour", "translation", "cutout"), augment_probability=0.0, augment_probability_end=0.55,
    )  # fmt: skip


# Hinge, projection, spectral normalisation: the defaults, at rates that fall: a generator of 60,000 images of
# few kinds may begin far faster than its discriminator.
FASHION = TrainConfig(
    name="fashion", total_kimg=2000, best_kimg=200,
    generator_lr=32e-4, generator_lr_end=8e-5, discriminator_lr_end=4e-5,
)  # fmt: skip
CIFAR = TrainConfig(
    name="cifar", mirror=True, latent_dim=128, generator_width=64, discriminator_width=64, total_kimg=4000,
    best_kimg=200,
)  # fmt: skip
RGB = TrainConfig(
    channels=3, latent_dim=128, generator_width=32, discriminator_width=32, total_kimg=2000, best_kimg=100,
)  # fmt: skip

PRESETS: dict[str, TrainConfig] = {
    # Seconds: proves the installation on shapes that it draws itself.
    "smoke": TrainConfig(
        data="shapes", name="shapes", latent_dim=16, generator_width=16, discriminator_width=16, batch=32,
        generator_lr=1e-3, discriminator_lr=1e-3, total_kimg=30, checkpoint_kimg=10, stats_kimg=1,
        ema_halflife_kimg=2,
    ),
    "digits-28": TrainConfig(name="digits", total_kimg=1000, best_kimg=100),
    "fashion-28": FASHION,
    "fashion-28-modern": _modern(FASHION, gamma=0.05),
    "cifar-32": CIFAR,
    "cifar-32-modern": _modern(CIFAR, gamma=0.05),
    # Sets of larger pictures are mostly small: fewer than 10,000 images need DiffAugment. Rates that fall,
    # and a class that says as much as the latent from the beginning, make the most of a short run.
    "rgb-64": replace(
        RGB, total_kimg=540, batch=32, class_gain=11.3, augment=("translation",), checkpoint_kimg=25,
        generator_lr=4e-4, generator_lr_end=4e-5, discriminator_lr_end=4e-5,
    ),
    "rgb-64-modern": _modern(RGB, gamma=2.0),
}  # fmt: skip
