"""A judge: the classifier of some images, kept in a folder, since the same images make the same judge."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.data import Dataset
from training.evaluation.classifier import Classifier, Protocol, build_network, train_classifier
from training.evaluation.real import data_digest

# What torch.load, and taking what it loaded, say of a file that is missing or damaged.
UNREADABLE = (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError)
VERSION = 2  # of the classifier's layers: a kept judge of another version is not taken


@dataclass(frozen=True)
class Judge:
    classifier: Classifier
    right: npt.NDArray[np.bool_]  # of the held-out images, bool [N]: those it knows

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


def find_judge(
    training: Dataset,
    held_out: Dataset,
    protocol: Protocol,
    kept_in: Path,
    report: Callable[[float], None] = lambda share: None,
) -> Judge:
    """The judge of these images from the folder `kept_in`, or else trained and put there."""
    digest = data_digest(training)
    key = hashlib.sha256(f"{VERSION} {digest} {protocol}".encode()).hexdigest()
    file = kept_in / f"{key[:32]}.pt"
    classifier = _load(file, training) or _train(file, training, protocol, report)
    return Judge(classifier, classifier.classify(held_out.images) == held_out.labels)


def _train(file: Path, training: Dataset, protocol: Protocol, report: Callable[[float], None]) -> Classifier:
    classifier = train_classifier(training, protocol, report)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    torch.save(classifier.network.state_dict(), unfinished)
    os.replace(unfinished, file)
    return classifier


def _load(file: Path, training: Dataset) -> Classifier | None:
    """The kept classifier; None where there is none, or a file that is damaged."""
    network = build_network(training.images.shape[1], training.images.shape[3], len(training.class_names))
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except UNREADABLE:
        return None
    return Classifier(network)
