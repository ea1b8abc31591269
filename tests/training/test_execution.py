"""Mixed precision changes arithmetic, never the weights' type; compiling changes neither."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

from tests.training.test_trainer import trainer
from training.config import TrainConfig
from training.execution import mixed_precision


def losses(precision: str = "float32", **options: Any) -> torch.Tensor:
    subject = trainer(precision=precision, **options)
    told = torch.stack([torch.stack(list(subject.step())) for _ in range(3)])
    weights = [*subject.generator.parameters(), *subject.discriminator.parameters()]
    assert {weight.dtype for weight in weights} == {torch.float32}
    return told


PENALISED: dict[str, Any] = {
    "loss": "relativistic", "r1": 0.1, "r2": 0.1, "spectral_norm": False, "generator_norm": "none",
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, PENALISED], ids=["defaults", "penalties"])
def test_bfloat16_comes_near_float32(options: dict[str, Any]) -> None:
    exact, mixed = losses(**options), losses("bfloat16", **options)
    assert not torch.equal(exact, mixed)
    torch.testing.assert_close(mixed, exact, rtol=0.1, atol=0.05)


def test_a_processor_trains_in_float32_unless_told_otherwise() -> None:
    cpu = torch.device("cpu")
    assert not mixed_precision(TrainConfig(), cpu)
    assert mixed_precision(TrainConfig(precision="bfloat16"), cpu)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")  # torch's own use of it
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: g++ is missing")
def test_compiled_networks_learn_what_they_would_have_learned() -> None:
    """Of these options the generator alone is compiled; to compile both takes a minute."""
    torch.testing.assert_close(losses(compile=True, **PENALISED), losses(**PENALISED), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")
def test_both_networks_are_compiled_where_no_penalty_differentiates_twice() -> None:
    """Nothing is compiled before the first step."""
    game = trainer(compile=True).game
    compiled = torch._dynamo.OptimizedModule
    assert isinstance(game.learning, compiled)
    assert isinstance(game.judging, compiled)
