"""What is compared: the plain GAN, one change at a time, and what takes more beside a control."""

from __future__ import annotations

from dataclasses import dataclass, replace

from training.config import TrainConfig

# The networks and steps that all recipes share. PacGAN's networks are wider (400, and 200 x 5 maxout pieces)
# and its runs longer (400,000 steps at a learning rate of 1e-4): a comparison on two cores needs less.
PLAIN = TrainConfig(
    name="modes", latent_dim=2, generator_width=64, discriminator_width=64, batch=100,
    loss="nonsaturating", generator_norm="batch", spectral_norm=False, conditioning="concatenation",
    generator_lr=1e-3, generator_lr_end=1e-5, discriminator_lr=1e-3, discriminator_lr_end=1e-5,
    beta1=0.5, beta2=0.999,
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    name: str  # for files and the command line
    about: str  # for the table
    config: TrainConfig


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("plain", "plain GAN, non-saturating", PLAIN),
        Recipe("saturating", "minimax, saturating", replace(PLAIN, loss="saturating")),
        Recipe("linear", "linear, as in lectures", replace(PLAIN, loss="linear")),
        Recipe("least-squares", "least squares", replace(PLAIN, loss="least-squares")),
        Recipe(
            "wgan-clip", "WGAN, clipped at 0.1, 5 D steps",
            replace(PLAIN, loss="wasserstein", weight_clip=0.1, discriminator_steps=5),
        ),
        Recipe(
            "wgan-gp", "WGAN-GP, 5 D steps",
            replace(PLAIN, loss="wasserstein", gradient_penalty=1.0, discriminator_steps=5),
        ),
        Recipe("hinge", "hinge", replace(PLAIN, loss="hinge")),
        Recipe("hinge-spectral", "hinge, spectral norm", replace(PLAIN, loss="hinge", spectral_norm=True)),
        Recipe("r3gan", "relativistic, R1 + R2 (R3GAN)", replace(PLAIN, loss="relativistic", r1=0.1, r2=0.1)),
        Recipe("5-steps", "plain, 5 D steps", replace(PLAIN, discriminator_steps=5)),
        Recipe("two-rates", "plain, D learns 4 x as fast", replace(PLAIN, generator_lr=2.5e-4)),
        Recipe("no-momentum", "plain, Adam's beta1 0", replace(PLAIN, beta1=0.0)),
        Recipe("slow-d", "plain, D slower: unrolled's control", replace(PLAIN, discriminator_lr=1e-4)),
        Recipe(
            "unrolled", "plain, 5 steps unrolled, D slower",
            replace(PLAIN, unrolled_steps=5, discriminator_lr=1e-4),
        ),
        Recipe(
            "unpacked", "beta1 0, 3 D steps: packed's control",
            replace(PLAIN, beta1=0.0, discriminator_steps=3),
        ),
        Recipe(
            "packed", "100 packs of 2, beta1 0, 3 D steps",
            replace(PLAIN, pack=2, batch=200, beta1=0.0, discriminator_steps=3),
        ),
        Recipe("minibatch", "plain, minibatch discrimination", replace(PLAIN, minibatch_kernels=8)),
        Recipe("one-stage", "plain, both from one pass", replace(PLAIN, one_stage=True)),
        Recipe("r1", "plain, R1", replace(PLAIN, r1=0.1)),
        Recipe("smoothed", "plain, labels smoothed to 0.9", replace(PLAIN, label_smoothing=0.1)),
        Recipe("noisy-labels", "plain, 5 % of labels wrong", replace(PLAIN, label_noise=0.05)),
        Recipe("instance-noise", "plain, instance noise 0.2 to 0", replace(PLAIN, instance_noise=0.2)),
        Recipe("replay", "plain, replay of 10,000 points", replace(PLAIN, replay=10_000)),
    )
}  # fmt: skip
