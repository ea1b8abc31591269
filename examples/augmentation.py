"""Do generated images help a small classifier that has few real ones? It is trained with and without them.

For instance: python examples/augmentation.py --data my-images/ --model models/mine
Needs torch: pip install -e '.[cpu,train]'. What came out here, and what that means: examples/README.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from generator import Generator
from generator.artifact import ArtifactError
from generator.pixels import Pixels, to_network
from training.config import TrainConfig
from training.data import DataError, load_dataset, load_test_images

BATCH, LEARNING_RATE = 128, 3e-3
GENERATED = 2000  # images of each class
HELD_OUT = 1 / 6  # of data that has no test set of its own


@dataclass(frozen=True)
class Recipe:
    """What a batch is made of: the share that is generated, and whether all of it is shifted and mirrored."""

    share: float
    moved: bool

    def __str__(self) -> str:
        return f"{self.share:.0%} generated" + (", shifted and mirrored" if self.moved else "")


RECIPES = [  # the first is what the others are compared with
    Recipe(0, moved=False),
    Recipe(0.5, moved=False),
    Recipe(0.8, moved=False),
    Recipe(0, moved=True),
    Recipe(0.5, moved=True),
]
NO_REAL_ONE = Recipe(1, moved=False)


@dataclass(frozen=True)
class Images:
    inputs: Tensor  # float32 [N, C, H, W] in [-1, 1]
    labels: Tensor  # int64 [N]

    @classmethod
    def of(cls, pixels: Pixels, labels: npt.NDArray[np.int64]) -> Images:
        """uint8 [N, H, W, C] and int64 [N]."""
        inputs = torch.from_numpy(to_network(pixels)).permute(0, 3, 1, 2).contiguous()
        return cls(inputs, torch.from_numpy(labels))

    def __getitem__(self, rows: Tensor) -> Images:
        return Images(self.inputs[rows], self.labels[rows])

    def drawn(self, count: int) -> Images:
        return self[torch.randint(len(self.labels), (count,))]

    def few(self, of_each: int) -> Images:
        """So many of each class, drawn at random; all of a class that has no more."""
        order = torch.randperm(len(self.labels))
        places = [order[self.labels[order] == label][:of_each] for label in range(int(self.labels.max()) + 1)]
        return self[torch.cat(places)]


def read(data: str, generator: Generator) -> tuple[Images, Images]:
    """Training and test images of the generator's size and classes. Raises DataError."""
    spec = generator.spec
    config = TrainConfig(data=data, image_size=spec.image_size, channels=spec.channels)
    dataset, test = load_dataset(config), load_test_images(config)
    if dataset.spec(config).slugs != spec.slugs:  # "T - shirt / top" is "T-shirt/top" too
        raise DataError(f"{data} has the classes {dataset.class_names}, the generator {spec.class_names}")
    training = Images.of(dataset.images, dataset.labels)
    if test is not None:
        return training, Images.of(test.images, test.labels)
    order = torch.randperm(len(training.labels), generator=torch.Generator().manual_seed(0))
    held_out = int(len(order) * HELD_OUT)
    return training[order[held_out:]], training[order[:held_out]]


def made(generator: Generator) -> Images:
    labels = np.arange(generator.spec.num_classes).repeat(GENERATED)
    return Images.of(generator.images(labels.tolist(), range(len(labels))), labels)


def moved(images: Tensor) -> Tensor:
    """Each image shifted by up to a fourteenth of its side, and every other mirrored."""
    count = len(images)
    place = torch.zeros(count, 2, 3)  # an affine map for each
    place[:, 0, 0] = torch.randint(2, (count,)) * 2.0 - 1
    place[:, 1, 1] = 1
    place[:, :, 2] = (torch.rand(count, 2) * 2 - 1) / 7  # in units of half a side
    grid = affine_grid(place, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


def trained(real: Images, generated: Images, recipe: Recipe, steps: int) -> nn.Module:
    """A small convolutional classifier after so many batches, the same number for every recipe."""
    channels, side = real.inputs.shape[1], -(-real.inputs.shape[2] // 4)
    network = nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * side * side, 128), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(128, int(generated.labels.max()) + 1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    of_generator = round(BATCH * recipe.share)
    for _ in range(steps):
        first, second = real.drawn(BATCH - of_generator), generated.drawn(of_generator)
        inputs = torch.cat([first.inputs, second.inputs])
        logits = network(moved(inputs) if recipe.moved else inputs)
        loss = cross_entropy(logits, torch.cat([first.labels, second.labels]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, test: Images) -> float:
    """In percent."""
    guesses = torch.cat([network(batch).argmax(1) for batch in torch.split(test.inputs, 500)])
    return 100 * float((guesses == test.labels).float().mean())


def table(found: npt.NDArray[np.float64], columns: list[str]) -> Table:
    """Accuracies [recipes, columns, seeds] as means, with what each recipe gains over the first."""
    seeds = found.shape[2]
    title = f"Accuracy in %, and the gain over real images as they are: mean ± deviation over {seeds} seeds"
    drawn = Table("batches", title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, justify="right")
    for recipe, results in zip(RECIPES, found, strict=True):
        cells = [f"{one.mean():.1f} ± {one.std(ddof=1):.1f}" for one in results]
        if recipe != RECIPES[0]:
            gains = results - found[0]  # seed by seed: the same real images
            cells = [
                f"{a.mean():.1f}  {g.mean():+z.1f} ± {g.std(ddof=1):.1f}"
                for a, g in zip(results, gains, strict=True)
            ]
        drawn.add_row(str(recipe), *cells)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="as python -m training takes it: .npz, class folders, ..."
    )
    parser.add_argument("--model", type=Path, default=Path("models/fashion"), help="the generator's folder")
    parser.add_argument(
        "--real",
        nargs="+",
        default=["20", "100", "500", "all"],
        metavar="N",
        help="images of a class, or all",
    )
    parser.add_argument("--seeds", type=int, default=3, help="each draws its own real images and weights")
    parser.add_argument("--steps", type=int, default=300, help="batches of 128, for each classifier")
    options = parser.parse_args()
    if min(options.seeds, options.steps) < 2:
        parser.error("--seeds and --steps take whole numbers from 2")
    for real in options.real:
        if real != "all" and not (real.isdecimal() and int(real)):
            parser.error(f"--real {real}: allowed are whole numbers from 1, and all")

    try:
        generator = Generator.open(options.model)
        everything, test = read(options.data, generator)
    except (ArtifactError, DataError) as error:
        raise SystemExit(str(error)) from None
    generated = made(generator)

    def result(recipe: Recipe, of_each: int, seed: int) -> float:
        torch.manual_seed(seed)  # the same real images for every recipe
        real = everything.few(of_each)
        return accuracy(trained(real, generated, recipe, options.steps), test)

    count = len(everything.labels)
    sizes = {
        f"all {count:,}" if real == "all" else f"{int(real):,} real a class": real for real in options.real
    }
    found = np.empty((len(RECIPES), len(sizes), options.seeds))
    for column, (name, real) in enumerate(sizes.items()):
        for row, recipe in enumerate(RECIPES):
            of_each = count if real == "all" else int(real)
            found[row, column] = [result(recipe, of_each, seed) for seed in range(options.seeds)]
            seen = ", ".join(f"{one:.2f}" for one in found[row, column])
            print(f"{name}, {recipe}: {seen}", file=sys.stderr, flush=True)
    alone = np.array([result(NO_REAL_ONE, 1, seed) for seed in range(options.seeds)])

    Console().print(table(found, [*sizes]))
    print(f"Generated images only, no real one: {alone.mean():.1f} ± {alone.std(ddof=1):.1f}")


if __name__ == "__main__":
    main()
