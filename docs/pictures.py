"""The pictures of latent-space.md, from models/fashion: python docs/pictures.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from generator import Generator
from generator.pixels import Pixels, enlarge
from generator.refining import STEPS
from generator.sheets import labelled_sheet
from generator.turning import METHODS

HERE = Path(__file__).parent
SCALE = 2
LABEL, SEED = "Ankle boot", 11
STRENGTHS = (0, 0.1, 0.2, 0.4, 0.7, 1)
FRESH = 4_100_000_000  # seeds that the encoder did not learn from
COEFFICIENTS = (-3, -2, -1, 0, 1, 2, 3)


def main() -> None:
    fashion = Generator.open(HERE.parent / "models" / "fashion")
    ways = [fashion.interpolate(["Sneaker", LABEL], [3, SEED], 13, method) for method in METHODS]
    _save("ways", np.concatenate(ways), list(METHODS))
    near = [fashion.variations(LABEL, SEED, strength, 10) for strength in STRENGTHS]
    _save("variations", np.concatenate(near), [f"strength {strength:g}" for strength in STRENGTHS])
    rows = range(4)
    moved = [
        fashion.images([LABEL], [SEED], directions={row: coefficient})
        for row in rows
        for coefficient in COEFFICIENTS
    ]
    columns = [f"{coefficient:+d}" if coefficient else "0" for coefficient in COEFFICIENTS]
    _save("directions", np.concatenate(moved), [f"direction {row}" for row in rows], columns)
    if fashion.artifact.encoder_file is None:
        return
    images = fashion.images(range(10), range(FRESH, FRESH + 10))
    found = [fashion.invert(images, steps).images for steps in (0, STEPS)]
    _save("inversions", np.concatenate([images, *found]), ["image", "encoder", f"{STEPS} steps"])


def _save(name: str, images: Pixels, rows: list[str], columns: list[str] | None = None) -> None:
    path = HERE / "pictures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    labelled_sheet(enlarge(images, SCALE), rows, columns or []).save(path, optimize=True)


if __name__ == "__main__":
    main()
