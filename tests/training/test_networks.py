from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.spec import GeneratorSpec
from tests.conftest import GREY, RGB, untrained
from training.config import Conditioning, Output, TrainConfig
from training.data import load_dataset
from training.networks import (
    Discriminator,
    Generation,
    Generator,
    draw_latents,
    layer_shapes,
    network_size,
    reestimate_batch_norm,
)
from training.trainer import Trainer


@pytest.mark.parametrize(
    ("image_size", "size"), [(8, 16), (16, 16), (17, 32), (28, 32), (64, 64), (100, 128)]
)
def test_networks_work_at_the_next_power_of_two(image_size: int, size: int) -> None:
    assert network_size(image_size) == size


def test_images_too_large_for_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="--image-size"):
        network_size(129)


@pytest.mark.parametrize(("image_size", "channels", "classes"), [(16, 1, 2), (28, 3, 10), (128, 3, 1000)])
def test_the_spec_shapes_the_networks(image_size: int, channels: int, classes: int) -> None:
    names = tuple(str(n) for n in range(classes))
    spec = GeneratorSpec(names, image_size, channels, latent_dim=6)  # type: ignore[arg-type]
    generator, size = Generator(spec, width=2), network_size(image_size)
    images = generator(torch.zeros(3, 6), torch.zeros(3, classes))
    assert images.shape == (3, channels, size, size)
    logits = Discriminator(spec, TrainConfig(discriminator_width=2))(images, torch.tensor([0, 1, 1]))
    assert logits.shape == (3,)
    finished = Generation(generator, spec).eval()(torch.zeros(3, 6), torch.zeros(3, classes))
    assert finished.shape == (3, image_size, image_size, channels)
    assert finished.dtype == torch.uint8


@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_the_discriminator_looks_at_the_label(conditioning: Conditioning) -> None:
    torch.manual_seed(0)
    config = TrainConfig(discriminator_width=4, spectral_norm=False, conditioning=conditioning)
    discriminator = Discriminator(GREY, config)
    image = torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    one, other = discriminator(image, torch.tensor([0, 2])).tolist()
    assert one != other


def test_the_projection_of_the_label_is_onto_what_the_discriminator_found_in_the_image() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(GREY, TrainConfig(discriminator_width=4, spectral_norm=False))
    torch.nn.init.normal_(discriminator.class_score.weight)
    found: list[torch.Tensor] = []
    discriminator.score.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    images, labels = torch.randn(6, 1, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    logits = discriminator(images, labels)
    weights = discriminator.score.weight + discriminator.class_score.weight[labels]  # w + v_y
    torch.testing.assert_close(logits, (weights * found[0]).sum(1) + discriminator.score.bias)


def test_spectral_norm_bounds_every_layer_and_is_an_option() -> None:
    torch.manual_seed(0)
    for bound in (True, False):
        discriminator = Discriminator(GREY, TrainConfig(discriminator_width=8, spectral_norm=bound))
        with torch.no_grad():
            for parameter in discriminator.parameters():
                parameter.mul_(50)
        for _ in range(30):  # power iterations
            discriminator(torch.randn(4, 1, 16, 16), torch.zeros(4, dtype=torch.long))
        largest = max(
            float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2))
            for layer in [*discriminator.down, discriminator.score, discriminator.class_score]
        )
        assert (largest < 1.05) == bound


def test_reestimated_statistics_are_those_of_the_batches() -> None:
    generator = untrained(GREY, "x").generator()
    rng = torch.Generator().manual_seed(0)
    batches = [
        (draw_latents(GREY, 64, rng), torch.eye(3)[torch.randint(3, (64,), generator=rng)]) for _ in range(4)
    ]
    renewed = reestimate_batch_norm(generator, batches)
    means = [
        generator.first(torch.cat(batch, 1)).unflatten(1, (-1, 4, 4)).mean((0, 2, 3)) for batch in batches
    ]
    expected = torch.stack(means).mean(0)
    torch.testing.assert_close(renewed.first_norm.running_mean, expected.detach())
    assert not renewed.training


def test_uniform_latents_stay_in_their_interval() -> None:
    spec = GeneratorSpec(("a", "b"), 16, 1, 8, noise="uniform")
    drawn = draw_latents(spec, 1000, torch.Generator().manual_seed(0))
    assert -1 <= float(drawn.min()) < -0.99 < 0.99 < float(drawn.max()) <= 1


def test_padding_repeats_the_edge_and_the_crop_takes_it_off() -> None:
    config = TrainConfig(data="shapes", image_size=20, latent_dim=4, generator_width=2, discriminator_width=2)
    dataset = load_dataset(config)
    trainer = Trainer(config, dataset.spec(config), dataset)
    assert trainer.images.shape == (2000, 1, 32, 32)
    np.testing.assert_array_equal(trainer.images[:, 0, 6:26, 6:26], dataset.images[..., 0])
    np.testing.assert_array_equal(trainer.images[:, 0, 0, 0], dataset.images[:, 0, 0, 0])
    assert Generation(trainer.generator, trainer.spec).crop == 6


def test_layer_shapes_count_every_parameter() -> None:
    generator = Generator(GREY, 4)
    rows = layer_shapes(generator, GREY)
    assert sum(row[2] for row in rows) == sum(p.numel() for p in generator.parameters())
    assert rows[-1][1] == "1 x 16 x 16"


def test_a_pack_is_judged_by_all_its_images_and_labels() -> None:
    torch.manual_seed(0)
    config = TrainConfig(discriminator_width=4, pack=2, conditioning="concatenation", spectral_norm=False)
    discriminator = Discriminator(GREY, config)
    images, labels = torch.randn(1, 2, 16, 16).expand(4, -1, -1, -1).clone(), torch.tensor([[0, 1]] * 4)
    images[1, 1] = 0
    labels[2, 0], labels[3, 1] = 2, 2
    logits = discriminator(images, labels)
    assert logits.shape == (4,)
    assert len(logits.unique()) == 4


def test_batch_norm_in_the_discriminator_is_on_all_layers_but_the_first() -> None:
    config = TrainConfig(discriminator_width=4, discriminator_norm="batch", spectral_norm=False)
    kinds = [type(norm) for norm in Discriminator(RGB, config).norms]
    assert kinds == [torch.nn.Identity, torch.nn.BatchNorm2d]


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_both_outputs_fill_the_range_of_pixels(output: Output) -> None:
    torch.manual_seed(0)
    generator = Generator(GREY, 4, output=output)
    with torch.no_grad():
        generator.last.weight.mul_(3000)
        images = generator(torch.randn(8, 5), torch.eye(3)[[0] * 8])
    assert float(images.min()) == pytest.approx(-1, abs=1e-3)
    assert float(images.max()) == pytest.approx(1, abs=1e-3)


def test_a_class_gain_of_the_root_of_the_latents_size_lets_a_class_say_as_much_as_the_whole_latent() -> None:
    torch.manual_seed(0)
    spec = GeneratorSpec(tuple("abcdefghij"), 64, 3, latent_dim=128)
    config = TrainConfig(data="shapes", generator_width=16, class_gain=128**0.5)
    weight = Generator.of(spec, config).first.weight.detach()
    of_latent, of_class = weight[:, :128] @ torch.randn(128, 1000), weight[:, 128:]  # each column one input
    assert 0.8 < float(of_class.std() / of_latent.std()) < 1.25


def test_networks_without_normalisation_keep_the_scale_of_what_goes_through() -> None:
    torch.manual_seed(0)
    spec = GeneratorSpec(tuple("abcdefghij"), 64, 3, latent_dim=128)
    generator = Generator(spec, 16, norm="none")
    assert not [module for module in generator.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    images = generator(torch.randn(32, 128), torch.eye(10)[torch.arange(32) % 10])
    assert 0.3 < float(images.detach().std()) < 0.9
    noise = torch.randn(32, 3, 64, 64)
    discriminator = Discriminator(spec, TrainConfig(discriminator_width=16, spectral_norm=False))
    hidden = noise
    for down in discriminator.down:
        hidden = torch.nn.functional.leaky_relu(down(hidden), 0.2)
    assert 0.3 < float(hidden.detach().square().mean().sqrt()) < 3
