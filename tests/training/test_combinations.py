"""Options that make no sense together are refused with the reason and a way out."""

from __future__ import annotations

from typing import Any

import pytest

from training.config import ConfigError, TrainConfig
from training.presets import PRESETS

PLAIN: dict[str, Any] = {"loss": "nonsaturating", "spectral_norm": False}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"loss": "wasserstein", "spectral_norm": False}, "nothing bounds the critic"),
        ({"weight_clip": 0.01}, "--weight-clip with --spectral-norm"),
        (PLAIN | {"weight_clip": 0.01, "gradient_penalty": 10.0}, "--weight-clip with a gradient penalty"),
        (PLAIN | {"gradient_penalty": 10.0, "r1_end": 1.0}, "length 1, the others of 0"),
        ({"discriminator_norm": "batch"}, "--discriminator-norm batch with --spectral-norm"),
        (PLAIN | {"discriminator_norm": "batch", "gradient_penalty": 10.0}, "each image's own gradient"),
        (PLAIN | {"minibatch_kernels": 8, "r1": 1.0}, "--minibatch-kernels 8 with a gradient penalty"),
        (PLAIN | {"unrolled_steps": 5, "r1": 1.0}, "--unrolled-steps with clipping or a gradient penalty"),
        ({"label_smoothing": 0.1}, "--label-smoothing with --loss hinge: it has no target"),
        ({"label_noise": 0.1, "loss": "wasserstein"}, "--label-noise with --loss wasserstein"),
        ({"pack": 2}, "use --conditioning concatenation"),
        ({"pack": 3, "conditioning": "concatenation"}, "whole packs; use --batch 63"),
        ({"replay": 640, "minibatch_kernels": 8}, "hide the lack of variety"),
        ({"replay": 10}, "keep at least a batch, --replay 64"),
        (PLAIN | {"replay": 640, "loss": "relativistic"}, "--replay with --loss relativistic"),
        (PLAIN | {"replay": 640, "gradient_penalty": 10.0}, "an earlier image is of any"),
        ({"one_stage": True}, "--one-stage with --loss hinge: .* use --loss nonsaturating"),
        (PLAIN | {"one_stage": True, "minibatch_kernels": 8}, "--minibatch-kernels 8 with --one-stage"),
        (PLAIN | {"one_stage": True, "unrolled_steps": 5}, "--one-stage with --unrolled-steps"),
        ({"label_noise": 0.6}, "--label-noise 0.6: allowed are 0 to 0.5"),
    ],
)
def test_senseless_options_are_refused_with_the_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        TrainConfig(**options)


def test_what_research_combines_is_allowed() -> None:
    TrainConfig(**PLAIN | {"loss": "wasserstein", "weight_clip": 0.01, "discriminator_steps": 5})
    TrainConfig(**PLAIN | {"loss": "wasserstein", "gradient_penalty": 10.0, "discriminator_steps": 5})
    TrainConfig(**PLAIN | {"discriminator_norm": "batch", "label_smoothing": 0.1, "label_noise": 0.05})
    TrainConfig(pack=2, conditioning="concatenation", minibatch_kernels=16)
    TrainConfig(**PLAIN | {"unrolled_steps": 5})


def test_the_modern_presets_are_r3gan() -> None:
    for name, gamma in (("fashion-28", 0.05), ("cifar-32", 0.05), ("rgb-64", 2.0)):
        config = PRESETS[f"{name}-modern"]
        assert (config.loss, config.spectral_norm, config.generator_norm) == ("relativistic", False, "none")
        assert [config.r1, config.r2] == [gamma, gamma]
        assert [config.r1_end, config.r2_end] == pytest.approx([gamma / 10, gamma / 10])
        assert (config.generator_lr, config.generator_lr_end) == (2e-4, 5e-5)
        assert (config.beta2, config.beta2_end) == (0.9, 0.99)
        assert (config.augment_probability, config.augment_probability_end) == (0, 0.55)
        assert PRESETS[name].loss == "hinge"
