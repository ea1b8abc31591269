"""The README of the examples has them all."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_readme_lists_every_example_and_nothing_else() -> None:
    listed = re.findall(r"^\| \[`([^`]+)`\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    there = [file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".ipynb")]
    assert sorted(listed) == sorted(there)
