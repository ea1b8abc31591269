"""Signs that a run fails, each with its bound and the remedy to try: pure functions of its statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.monitors.window import Line

SETTLING = 5  # first lines, in which networks find their feet
PATIENCE = 3  # lines in a row that show the sign
LEAST_DIVERSITY = 0.1  # of the data's
SURE = 0.98  # accuracy of a discriminator that is hardly ever wrong
VANISHED = 0.01  # of the largest gradient norm that the generator had
MOST_LOSS = 100.0  # of the discriminator; healthy ones are a few units, Wasserstein's some tens
MOST_GROWTH = 100.0  # of a gradient norm, over its median in the first lines


@dataclass(frozen=True)
class Alarm:
    kind: str
    kimg: float
    sign: str  # what was seen, in words
    value: float | None  # None: not a number
    bound: float | None
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """A line of stats.jsonl."""
        fields = asdict(self)
        return {"kimg": fields.pop("kimg"), "alarm": fields.pop("kind"), **fields}

    @classmethod
    def from_json(cls, fields: Line) -> Alarm:
        kept: dict[str, Any] = dict(fields)
        return cls(kind=kept.pop("alarm"), **kept)

    @property
    def seen(self) -> str:
        """The sign with its value and the bound."""
        if self.value is None or self.bound is None:
            return f"{self.sign} is no number any more"
        return f"{self.sign} is {self.value:.3g} (bound {self.bound:.3g})"

    def __str__(self) -> str:
        return f"{self.kind} at {self.kimg:g} kimg: {self.seen}. {self.remedy}"


def collapse(lines: Sequence[Line]) -> Alarm | None:
    """Images of a class are almost the same, whatever the latent."""
    recent = lines[SETTLING:][-PATIENCE:]
    values = [line["diversity"] for line in recent if "diversity" in line]
    if len(values) < PATIENCE or max(values) >= LEAST_DIVERSITY:
        return None
    return Alarm(
        "collapse", lines[-1]["kimg"],
        "the mean distance between generated images of a class, as a share of real ones',",
        values[-1], LEAST_DIVERSITY,
        "Try --pack 2 (with --conditioning concatenation), --minibatch-kernels 32, --unrolled-steps 5, "
        "--loss wasserstein --gradient-penalty 10 --no-spectral-norm, or a lower --generator-lr",
    )  # fmt: skip


def vanishing_gradient(lines: Sequence[Line]) -> Alarm | None:
    """The discriminator is always right and the generator learns nothing from it any more."""
    recent = lines[-PATIENCE:]
    share = [line["generator_gradient"] / max(_peak(lines), 1e-30) for line in recent]
    sure = all(line["discriminator_accuracy"] >= SURE for line in recent)
    if len(recent) < PATIENCE or not sure or max(share) >= VANISHED:
        return None
    return Alarm(
        "vanishing gradient", lines[-1]["kimg"],
        f"the discriminator's accuracy is {lines[-1]['discriminator_accuracy']:.0%}, and the generator's "
        "gradient norm, as a share of its largest,",
        share[-1], VANISHED,
        "Try --loss nonsaturating or hinge, --spectral-norm, --instance-noise 0.1, or a lower "
        "--discriminator-lr",
    )  # fmt: skip


def divergence(lines: Sequence[Line]) -> Alarm | None:
    """The discriminator's loss or a gradient grows without end.

    Not the generator's loss: of a critic, which may add any number to all its scores, it says nothing.
    """
    last, signs = lines[-1], []
    signs.append(("the discriminator's loss, its sign aside,", abs(last["discriminator_loss"]), MOST_LOSS))
    for side in ("generator", "discriminator"):
        first = sorted(line[f"{side}_gradient"] for line in lines[:SETTLING])
        bound = MOST_GROWTH * max(first[len(first) // 2], 1.0)
        signs.append((f"the {side}'s gradient norm", last[f"{side}_gradient"], bound))
    for sign, value, bound in signs:
        if value > bound:
            remedy = (
                "lower --generator-lr and --discriminator-lr, --spectral-norm, --r1 1, --gradient-penalty 10"
            )
            return Alarm("divergence", last["kimg"], sign, value, bound, f"Try one of {remedy}")
    return None


def not_a_number(kimg: float, kept: str) -> Alarm:
    """`kept` says which checkpoint there is."""
    remedy = f"{kept}. Try lower learning rates, or --spectral-norm"
    return Alarm("NaN", kimg, "a loss, a gradient or a weight", None, None, remedy)


def _peak(lines: Sequence[Line]) -> float:
    return max(line["generator_gradient"] for line in lines)


RULES: tuple[Callable[[Sequence[Line]], Alarm | None], ...] = (collapse, vanishing_gradient, divergence)
