"""Images without a server: seeds, classes, morphs, neighbours, and directions, in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from generator import Generator
from generator.artifact import ArtifactError
from generator.pixels import Pixels, enlarge
from generator.sheets import labelled_sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/fashion"))
    parser.add_argument("--out", type=Path, default=Path("runs/examples"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    try:
        generator = Generator.open(options.model)
    except ArtifactError as error:
        raise SystemExit(str(error)) from None
    names = generator.spec.class_names
    first, last = names[0], names[-1]

    def show(name: str, images: Pixels, rows: list[str]) -> None:
        """uint8 [rows x columns, H, W, C] as a picture, with a word before each row."""
        labelled_sheet(enlarge(images, 2), rows).save(options.out / f"{name}.png")
        print(f"{options.out / name}.png: {images.shape}")

    same = generator.images([first] * 12, range(12))  # a class and a seed make an image, for ever
    typical = generator.images([first] * 12, range(12), truncation=0.5)
    show("seeds", np.concatenate([same, typical]), ["any", "truncation 0.5"])

    every = generator.grid(names, range(12))  # [classes, seeds, H, W, C]
    show("grid", every.reshape(-1, *every.shape[2:]), list(names))

    ways = [generator.interpolate([first, last], [seed, seed + 1], frames=12) for seed in (0, 10, 20)]
    show("morphs", np.concatenate(ways), ["seed 0 to 1", "seed 10 to 11", "seed 20 to 21"])

    strengths = (0, 0.1, 0.3, 1)
    near = [generator.variations(last, seed=7, strength=strength, n=12) for strength in strengths]
    show("variations", np.concatenate(near), [f"strength {strength:g}" for strength in strengths])

    steps = np.linspace(-6, 6, 12)
    moved = [generator.images([last], [7], directions={row: step}) for row in range(3) for step in steps]
    show("directions", np.concatenate(moved), [f"direction {row}" for row in range(3)])


if __name__ == "__main__":
    main()
