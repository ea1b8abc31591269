"""What the documentation says of the service is what the service has."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.settings import PREFIX, Settings
from service.stream_messages import ALLOWED_HERE, HEADER

DOCS = Path(__file__).parents[1] / "docs"


def metric_names() -> set[str]:
    metrics = Metrics(["/v1/images"], ["fashion"])
    metrics.request("/v1/images", 200, 0.001)
    metrics.made("fashion", 1, 0.001, 0.001)
    metrics.refused("fashion")
    metrics.dropped("fashion", "expired")
    metrics.frame(superseded=1)
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name for family in families for sample in family.samples}


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(PREFIX + r"[A-Z_]+", (DOCS / "serving.md").read_text()))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_metric_is_documented_and_the_dashboard_asks_for_none_that_is_not_there() -> None:
    there = metric_names()
    text = (DOCS / "serving.md").read_text()
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in there} == set(
        re.findall(r"mintage_[a-z_]+", text)
    )
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert set(re.findall(r"mintage_[a-z_]+", " ".join(asked))) <= there
    assert len(asked) == 21


def test_the_header_of_a_frame_is_as_documented() -> None:
    letters = {"uint8": "B", "uint16": "H", "uint32": "I", "float32": "f"}
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (DOCS / "stream.md").read_text(), re.MULTILINE)
    layout = "<" + "".join(letters[kind] for _, kind in rows)
    assert layout == HEADER.format
    starts = [struct.calcsize(layout[: 1 + place]) for place in range(len(rows))]
    assert [int(start) for start, _ in rows] == starts


def test_every_field_of_a_streams_message_is_documented() -> None:
    text = (DOCS / "stream.md").read_text()
    assert [name for name in ALLOWED_HERE if f"`{name}`" not in text] == []
