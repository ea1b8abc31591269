"""The training loop as PyTorch's DCGAN tutorial has it, on our networks, for the same mathematics.

Two passes of the discriminator, one over real and one over generated images; the generator's step goes back
through the discriminator's weights too; plain Adam; tensors in their ordinary layout; a DataLoader over
images that are in memory and scaled already (the tutorial reads and scales files, which would cost more). It
keeps no moving average of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, TensorDataset

from generator.spec import GeneratorSpec
from training.config import TrainConfig
from training.networks import Discriminator, Generator


class Textbook:
    """A run of that loop."""

    def __init__(self, config: TrainConfig, spec: GeneratorSpec, images: Tensor, labels: Tensor) -> None:
        """Images uint8 [N, C, size, size], labels int64 [N]."""
        self.config, self.spec = config, spec
        torch.manual_seed(config.seed)
        self.generator, self.discriminator = Generator.of(spec, config), Discriminator(spec, config)
        betas = config.beta1, config.beta2
        self.of_generator = torch.optim.Adam(self.generator.parameters(), config.generator_lr, betas)
        self.of_discriminator = torch.optim.Adam(
            self.discriminator.parameters(), config.discriminator_lr, betas
        )
        data = TensorDataset(images.float() / 127.5 - 1, labels)
        self.loader = DataLoader(data, config.batch, shuffle=True, drop_last=True)
        self.batches = self._forever()
        self.criterion = nn.BCEWithLogitsLoss()

    def _forever(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.loader

    def step(self) -> tuple[float, float]:
        """The losses of both sides."""
        real, labels = next(self.batches)
        count = len(real)
        ones, zeros = torch.ones(count), torch.zeros(count)

        self.discriminator.zero_grad()
        on_real = self.criterion(self.discriminator(real, labels), ones)
        on_real.backward()
        latent = torch.randn(count, self.spec.latent_dim)
        fake = self.generator(latent, one_hot(labels, self.spec.num_classes).float())
        on_fake = self.criterion(self.discriminator(fake.detach(), labels), zeros)
        on_fake.backward()
        self.of_discriminator.step()

        self.generator.zero_grad()
        loss = self.criterion(self.discriminator(fake, labels), ones)
        loss.backward()
        self.of_generator.step()
        return loss.item(), on_real.item() + on_fake.item()
