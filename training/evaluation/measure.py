"""One yardstick for all generators: the same real images, the same judge, the same features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from generator.pixels import Pixels
from training.data import Dataset
from training.evaluation import spaces
from training.evaluation.classifier import FULL, Protocol
from training.evaluation.copying import MOST, CopyCheck
from training.evaluation.distances import frechet_distance, kernel_distance
from training.evaluation.diversity import class_diversity
from training.evaluation.generated import Labels, Source, in_parts
from training.evaluation.inception import Inception, inception_score
from training.evaluation.judge import Judge, find_judge
from training.evaluation.manifolds import compare_manifolds
from training.evaluation.quality import Accuracy, Closeness, Quality, accuracy, relative_diversity
from training.evaluation.real import RealImages, rows_of
from training.evaluation.spaces import Space
from training.evaluation.steps import Report, Steps

GAN_TRAIN_SEED = 1_000_000  # seeds from here on make what a classifier learns from: none that are measured


@dataclass(frozen=True)
class MeasureOptions:
    samples: int = 10_000  # N, where the data has as many
    protocol: Protocol = FULL
    gan_train: bool = True
    inception: Path | None = None  # the file of the Inception network
    kept_in: Path = Path("runs/judges")  # judges and slow features of real images


class Yardstick:
    """Real images and all that is known of them, to be laid on one set of images after the other."""

    def __init__(self, real: RealImages, options: MeasureOptions, steps: Steps) -> None:
        """Raises ConfigError for an Inception network that cannot be read."""
        self.real, self.options, self.steps = real, options, steps
        self.class_names = real.training.class_names
        self.samples = min(options.samples, len(real.reference.labels), len(real.held_out.labels))
        self.reference = rows_of(real.reference, slice(self.samples))
        self.held_out = rows_of(real.held_out, slice(self.samples))
        self.inception = Inception(options.inception) if options.inception else None
        self.judge: Judge | None = None
        if len(self.class_names) > 1:
            with steps.step("the judge learns from real images") as report:
                self.judge = self._judge_of(real.training, report)
        self.spaces = self._spaces()
        self._real = {space.name: self._features_of_real(space, self.reference) for space in self.spaces}
        self.copy_check = CopyCheck(real.seen, rows_of(self.held_out, slice(MOST)), self.spaces[0])

    def _spaces(self) -> list[Space]:
        found = [spaces.judge_space(self.judge.classifier)] if self.judge else []
        if self.reference.images.shape[3] == 3 or not self.judge:
            found.append(spaces.efficientnet_space())
        if self.inception:
            found.append(spaces.inception_space(self.inception))
        return found

    def _features_of_real(self, space: Space, dataset: Dataset) -> Tensor:
        with self.steps.step(f"real images in {space.title}"):
            return spaces.real_features(space, dataset, self.options.kept_in)

    def of_real(self) -> Quality:
        """What real images get that were held out; GAN-test and GAN-train are both the judge's accuracy."""
        judged = None
        if self.judge:
            judged = accuracy(self.judge.right, self.real.held_out.labels, self.class_names)
        features = {space.name: self._features_of_real(space, self.held_out) for space in self.spaces}
        return self._quality(self.held_out, features, judged, judged if self.options.gan_train else None)

    def of_generator(self, source: Source) -> tuple[Quality, Pixels]:
        """Of images of the same classes as the reference's, seeds from 0; and those images."""
        labels = self.reference.labels
        with self.steps.step(f"{source.name}: {len(labels):,} images"):
            images = source.images(labels, range(len(labels)))
        gan_test = gan_train = None
        if self.judge:
            right = self.judge.classifier.classify(images) == labels
            gan_test = accuracy(right, labels, self.class_names)
            if self.options.gan_train:
                gan_train = self._gan_train(source)
        features = {}
        for space in self.spaces:
            with self.steps.step(f"{source.name}: in {space.title}"):
                features[space.name] = space.features(images)
        with self.steps.step(f"{source.name}: nearest training images"):
            near = self.copy_check.near_shares(images)
        generated = Dataset(images, labels, self.class_names)
        return self._quality(generated, features, gan_test, gan_train, near), images

    def _gan_train(self, source: Source) -> Accuracy:
        """Accuracy on held-out real images of a classifier that learned like the judge, of generated ones."""
        labels = self.real.training.labels[: self.options.protocol.images]
        seeds = range(GAN_TRAIN_SEED, GAN_TRAIN_SEED + len(labels))
        with self.steps.step(f"{source.name}: {len(labels):,} images to learn from") as report:
            images = in_parts(source, labels, seeds, report)
        generated = Dataset(images, labels, self.class_names)
        with self.steps.step(f"{source.name}: a classifier learns from them") as report:
            taught = self._judge_of(generated, report)
        return accuracy(taught.right, self.real.held_out.labels, self.class_names)

    def _judge_of(self, dataset: Dataset, report: Report) -> Judge:
        """Kept, like that of the real images: who measures the same generator again does not wait."""
        options = self.options
        return find_judge(dataset, self.real.held_out, options.protocol, options.kept_in, report)

    def _quality(
        self,
        dataset: Dataset,
        features: dict[str, Tensor],
        gan_test: Accuracy | None,
        gan_train: Accuracy | None,
        near_training: dict[str, float] | None = None,
    ) -> Quality:
        closeness = {
            name: self._closeness(self._real[name], found, dataset.labels) for name, found in features.items()
        }
        score = None
        if self.inception:
            score = inception_score(spaces.inception_shares(self.inception, dataset.images))
        return Quality(self.samples, gan_test, gan_train, closeness, near_training or {}, score)

    def _closeness(self, real: Tensor, features: Tensor, labels: Labels) -> Closeness:
        count = len(self.class_names)
        diversity, per_class = relative_diversity(
            class_diversity(features, torch.from_numpy(labels), count),
            class_diversity(real, torch.from_numpy(self.reference.labels), count),
            self.class_names,
        )
        return Closeness(
            frechet_distance=frechet_distance(real, features),
            kernel_distance=kernel_distance(real, features),
            **compare_manifolds(real, features)._asdict(),
            diversity=diversity,
            diversity_per_class=per_class,
        )
