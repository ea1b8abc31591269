"""Options that make no sense together, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.config import TrainConfig

LINEAR = ("wasserstein", "linear")  # objectives that are linear in what the discriminator says
FLAT = ("hinge",)  # objectives whose discriminator's side has no slope at some scores of generated images
WITH_TARGETS = ("saturating", "nonsaturating", "least-squares")  # objectives that name a score to reach


def senseless(config: TrainConfig) -> str | None:
    """What is wrong with the first such combination and the way out, or None."""
    return next((reason for wrong, reason in _rules(config) if wrong), None)


def _rules(config: TrainConfig) -> list[tuple[bool, str]]:
    zero_centred = any((config.r1, config.r1_end, config.r2, config.r2_end))
    penalised = bool(config.gradient_penalty) or zero_centred
    clipped, batch_norm = config.weight_clip is not None, config.discriminator_norm == "batch"
    across = "--discriminator-norm batch" if batch_norm else f"--minibatch-kernels {config.minibatch_kernels}"
    compares = config.pack > 1 or config.minibatch_kernels > 0
    return [
        (
            config.loss == "wasserstein" and not (clipped or penalised or config.spectral_norm),
            "--loss wasserstein: nothing bounds the critic, so its loss has no least value; add "
            "--weight-clip 0.01 (WGAN), --gradient-penalty 10 (WGAN-GP) or --spectral-norm",
        ),
        (
            clipped and config.spectral_norm,
            "--weight-clip with --spectral-norm: both bound the discriminator's slope, and a normalised "
            "layer undoes the scale that clipping sets; add --no-spectral-norm, or leave --weight-clip out",
        ),
        (
            clipped and penalised,
            "--weight-clip with a gradient penalty: clipped weights cannot reach the slope that the penalty "
            "asks for; choose one",
        ),
        (
            bool(config.gradient_penalty) and zero_centred,
            "--gradient-penalty with --r1 or --r2: one asks for gradients of length 1, the others of 0; "
            "choose one kind",
        ),
        (
            batch_norm and config.spectral_norm,
            "--discriminator-norm batch with --spectral-norm: batch normalisation divides by what the "
            "spectral one bounds; add --no-spectral-norm",
        ),
        (
            penalised and (batch_norm or config.minibatch_kernels > 0),
            f"{across} with a gradient penalty: the penalty is on each image's own gradient, there "
            "an image's score depends on the rest of its batch; choose one",
        ),
        (
            config.unrolled_steps > 0 and (clipped or penalised),
            "--unrolled-steps with clipping or a gradient penalty: the steps ahead are the optimizer's "
            "alone; choose one",
        ),
        (
            config.label_smoothing > 0 and config.loss not in WITH_TARGETS,
            f"--label-smoothing with --loss {config.loss}: it has no target to smooth; that is for "
            f"{', '.join(WITH_TARGETS)}",
        ),
        (
            config.label_noise > 0 and config.loss in LINEAR,
            f"--label-noise with --loss {config.loss}: the loss is linear, so changed sides only make it "
            "smaller; leave it out",
        ),
        (
            config.pack > 1 and config.conditioning == "projection",
            f"--pack {config.pack} with --conditioning projection: the projection is onto one class, and a "
            "pack's images have several; use --conditioning concatenation",
        ),
        (
            config.batch % config.pack != 0,
            f"--pack {config.pack} with --batch {config.batch}: the batch must be whole packs; use --batch "
            f"{max(1, config.batch // config.pack) * config.pack}",
        ),
        (
            config.replay > 0 and compares,
            "--replay with --pack or --minibatch-kernels: earlier images among the generated ones hide the "
            "lack of variety that those look for; choose one",
        ),
        (
            config.replay > 0 and (config.loss == "relativistic" or bool(config.gradient_penalty)),
            "--replay with --loss relativistic or --gradient-penalty: these pair each real image with a "
            "generated one of its class, and an earlier image is of any; choose one",
        ),
        (
            0 < config.replay < config.batch,
            f"--replay {config.replay}: keep at least a batch, --replay {config.batch}",
        ),
        (
            config.one_stage and config.loss in FLAT,
            f"--one-stage with --loss {config.loss}: where it leaves the discriminator in peace there is no "
            "gradient for the generator to share; use --loss nonsaturating, or leave --one-stage out",
        ),
        (
            config.one_stage and (batch_norm or config.minibatch_kernels > 0),
            f"{across} with --one-stage: one pass serves both networks where an image's score depends on "
            "that image alone; choose one",
        ),
        (
            config.one_stage and bool(config.unrolled_steps or config.replay or config.label_noise),
            "--one-stage with --unrolled-steps, --replay or --label-noise: with these the generator is "
            "judged otherwise, or on other images, than the discriminator learns from; choose one",
        ),
        (
            config.stop_when_converged and config.best_kimg is None,
            "--stop-when-converged without --best-kimg: the rule looks at the evaluations, since a game's "
            "losses do not tell; add --best-kimg N",
        ),
    ]
