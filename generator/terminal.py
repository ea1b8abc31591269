"""How every command tells an error."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

WRONG_USE = 2  # the exit code of a command that could not do what it was asked to


def tell_error(error: BaseException) -> int:
    """Prints an error to standard error, as it is, and returns the exit code."""
    text = Text.assemble(("error: ", "bold red"), str(error))
    Console(stderr=True).print(text, soft_wrap=True)
    return WRONG_USE
