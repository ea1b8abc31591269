"""Text can be read in both themes: WCAG 2.2's contrast of at least 4.5 between it and its ground."""

from __future__ import annotations

import re

import pytest

from service.routes.studio import FOLDER

STYLE = (FOLDER / "style.css").read_text()
LEAST = 4.5
PAIRS = [
    ("ink", "paper"), ("ink", "card"), ("ink", "sunk"), ("soft", "paper"), ("soft", "card"),
    ("accent", "paper"), ("on-accent", "accent"), ("fault", "card"), ("paper", "ink"),
]  # fmt: skip


def colours(theme: str) -> dict[str, str]:
    """The theme's variables; what dark does not say is as in light."""
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)", maxsplit=1)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if theme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark.split("}", maxsplit=1)[0]))
    return found


def luminance(colour: str) -> float:
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(theme: str, text: str, ground: str) -> None:
    palette = colours(theme)
    lighter, darker = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= LEAST
