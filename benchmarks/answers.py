"""Are a server's answers the generator's images, pixel for pixel?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.exchange import FAILURES, exchange
from benchmarks.questions import Question
from generator import Generator
from generator.latents import MAX_SEED
from generator.pixels import Pixels

AT_ONCE = 16  # requests in flight: so that what batches shares batches

Asked = tuple[int, int]  # label, seed


class WrongAnswer(RuntimeError):
    """A server that did not answer, or not with the generator's image: its speed means nothing."""


def ask(port: int, question: Question, label: int, seed: int) -> Pixels:
    """One answer over a connection of its own. Raises WrongAnswer for any status but 200."""
    body, headers = question.body(label, seed), {"content-type": "application/json"}
    try:
        reply = exchange("127.0.0.1", port, "POST", question.path, body, headers)
    except FAILURES as error:
        raise WrongAnswer(f"label {label}, seed {seed}: no answer: {error!r}") from error
    if reply.status != 200:
        raise WrongAnswer(f"label {label}, seed {seed}: status {reply.status}: {reply.body[:200]!r}")
    try:
        return question.read(reply.headers, reply.body)
    except (OSError, ValueError, KeyError) as error:
        raise WrongAnswer(
            f"label {label}, seed {seed}: {len(reply.body)} bytes are no image: {error}"
        ) from error


def draw(count: int, num_classes: int, random_seed: int) -> list[Asked]:
    """`count` labels and seeds, drawn at random, the same for one `random_seed`."""
    source = random.Random(random_seed)
    return [(source.randrange(num_classes), source.randrange(MAX_SEED + 1)) for _ in range(count)]


def check(port: int, question: Question, generator: Generator, asked: Sequence[Asked]) -> int:
    """Asks, several at once, and compares every pixel; how many images were right. Raises WrongAnswer."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda pair: ask(port, question, *pair), asked))
    for (label, seed), answer in zip(asked, answers, strict=True):
        compare(answer, expected(question, generator, label, seed), label, seed)
    return len(asked) * question.images


def expected(question: Question, generator: Generator, label: int, seed: int) -> Pixels:
    """What an answer should be, uint8 [question.images, H, W, C]."""
    seeds = [(seed + place) % (MAX_SEED + 1) for place in range(question.images)]
    return generator.images([label] * len(seeds), seeds)


def compare(answer: Pixels, right: Pixels, label: int, seed: int) -> None:
    """Raises WrongAnswer unless two arrays are the same."""
    if answer.shape != right.shape:
        raise WrongAnswer(f"label {label}, seed {seed}: {answer.shape} in place of {right.shape}")
    if wrong := int(np.count_nonzero(answer != right)):
        raise WrongAnswer(f"label {label}, seed {seed}: {wrong} of {right.size} pixels are wrong")
