"""Are the answers to a load the images that were asked for? A sample is compared, every pixel."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.answers import WrongAnswer, compare
from benchmarks.load.answer import Answer
from benchmarks.load.job import Kept
from benchmarks.load.mix import Mix
from benchmarks.load.outcome import OK
from benchmarks.load.target import Model, TargetError
from generator import Generator
from generator.artifact import Artifact, ArtifactError

MODELS = Path("models")  # where artifacts are looked for


def check(kept: Sequence[Kept], mix: Mix, generator: Generator, limit: int) -> int:
    """Compares up to `limit` of the whole answers with status 200, drawn; how many. Raises WrongAnswer."""
    answers = [(one.number, Answer.parse(one.raw)) for one in kept if one.is_whole]
    right = [(number, answer) for number, answer in answers if answer.status == OK]
    chosen = random.sample(right, min(limit, len(right)))
    for number, answer in chosen:
        asked = mix.asked(number)
        try:
            pixels = asked.kind.read(answer.body)
        except (OSError, ValueError) as error:
            message = (
                f"label {asked.label}, seed {asked.seed}: {len(answer.body)} bytes are no image: {error}"
            )
            raise WrongAnswer(message) from error
        compare(pixels, asked.kind.expected(generator, asked.label, asked.seed), asked.label, asked.seed)
    return len(chosen)


def generator_of(model: Model, artifact: Path | None) -> Generator | None:
    """An engine here that makes what the service makes: of an artifact, or of one found below models/.

    None where none is found. Raises TargetError for an artifact that is another version, or an engine that
    makes other pixels; ArtifactError, EngineError for one that cannot be opened.
    """
    path = artifact or _find(model.version)
    if path is None:
        return None
    generator = Generator.open(path, threads=1)
    version = generator.artifact.manifest.id
    if version != model.version:
        raise TargetError(f"{path} is {version}, the service serves {model.version}: give that --artifact")
    if generator.engine.key == model.engine:
        return generator
    if artifact is None:
        return None
    raise TargetError(
        f"the engine here is {generator.engine.key}, the service's {model.engine}: their pixels may differ "
        "in the last bit; leave out --artifact"
    )


def _find(version: str) -> Path | None:
    for manifest in sorted(MODELS.glob("*/manifest.json")):
        try:
            if Artifact.open(manifest.parent).manifest.id == version:
                return manifest.parent
        except ArtifactError:
            continue
    return None
