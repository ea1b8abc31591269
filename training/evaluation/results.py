"""What was measured, written down: evaluation.json, and an artifact's manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.evaluation.generated import ArtifactSource
from training.evaluation.measure import Yardstick
from training.evaluation.quality import Quality
from training.evaluation.real import data_digest
from training.evaluation.subjects import Sources
from training.evaluation.tables import notes

FILE = "evaluation.json"


def write_results(
    folder: Path,
    yardstick: Yardstick,
    real_quality: Quality,
    measured: Mapping[str, Quality],
    sources: Sources,
) -> dict[str, Any]:
    """Writes evaluation.json: what measures rest on, what held-out real images get, and each generator's."""
    real = yardstick.real
    results = {
        "samples": yardstick.samples,
        "training_images": len(real.training.labels),
        "held_out_images": len(real.held_out.labels),
        "test_set_given": real.test_given,
        "training_digest": data_digest(real.training),
        "classifiers": asdict(yardstick.options.protocol),
        "notes": notes(yardstick),
        "held_out_real": real_quality.to_json(),
        "generators": {
            name: {"engine": sources[name].engine, **quality.to_json()} for name, quality in measured.items()
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(results, indent=2) + "\n")
    return results


def record(source: ArtifactSource, results: Mapping[str, Any], name: str) -> None:
    """A generator's results into its manifest, what they rest on under `basis`."""
    basis = {key: value for key, value in results.items() if key != "generators"}
    source.artifact.record_metrics({**results["generators"][name], "basis": basis})
