"""The training loop next to the textbook's: same networks, both learn, a small run gives a table."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.training.child import SHAPES, loops, main, trainer
from benchmarks.training.command import PRESETS
from benchmarks.training.report import tables
from benchmarks.training.textbook import Textbook


def test_the_textbooks_loop_has_our_networks_and_trains_them() -> None:
    ours = trainer("fashion-28")
    book = Textbook(ours.config, ours.spec, ours.images, ours.labels)
    for mine, theirs in ((ours.generator, book.generator), (ours.discriminator, book.discriminator)):
        assert {k: v.shape for k, v in mine.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }
    before = [parameter.detach().clone() for parameter in book.generator.parameters()]
    book.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, book.generator.parameters(), strict=True))


def test_each_loop_counts_the_real_images_of_a_step() -> None:
    assert {name: step() for name, step in loops("fashion-28").items()} == {
        "ours": 64, "unwatched": 64, "one_stage": 64, "textbook": 64,
    }  # fmt: skip


def test_a_small_run_gives_a_table_of_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(PRESETS) == set(SHAPES)
    assert main(["--preset", "fashion-28", "--repeats", "2", "--seconds", "0.01"]) == 0
    loop = json.loads(capsys.readouterr().out)
    assert [len(loop[name]) for name in ("ours", "unwatched", "one_stage", "textbook")] == [2] * 4
    result = {"manifest": {"settings": {"repeats": 2, "seconds": 0.01}}, "loops": [loop]}
    (table,) = tables(result)
    assert table.rows[0][0] == "fashion-28"
    assert len(table.rows[0]) == len(table.columns)
