"""The folder of a report: page, Markdown and JSON, written whole or not at all."""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.load.figures import plots
from benchmarks.load.words import milliseconds, tables, verdict
from benchmarks.servers import ROOT

Json = dict[str, Any]

REPORTS = ROOT / "runs" / "load"
TEMPLATE = "report.html.j2"


class FolderError(RuntimeError):
    """A folder that cannot take a report."""


def new_folder(wanted: Path | None) -> Path:
    """The one that is wanted, or runs/load/2026-01-31T12-00-00, in UTC. Raises FolderError if it is there."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%S")
    folder = wanted or REPORTS / now
    if folder.exists():
        raise FolderError(f"{folder} is there already: choose another --report, or remove it")
    return folder


def write_folder(folder: Path, result: Json) -> None:
    """Makes everything beside its place, then puts it there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (unfinished / "report.json").write_text(json.dumps(result, indent=1) + "\n")
        (unfinished / "report.md").write_text(markdown(result))
        (unfinished / "report.html").write_text(page(result))
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def markdown(result: Json) -> str:
    """Without the plots."""
    title = f"# Load on {result['model']}\n"
    said = "\n".join(f"- {text}" for text in verdict(result)) + "\n"
    return "\n".join([title, said, *(table.markdown() for table in tables(result)), about(result) + "\n"])


def page(result: Json) -> str:
    """Everything in one file: no script, nothing to fetch."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template(TEMPLATE)
    load = result["loads"][-1]
    return template.render(
        result=result, load=load, verdict=verdict(result), tables=tables(result), plots=list(plots(result)),
        about=about(result), milliseconds=milliseconds,
    )  # fmt: skip


def about(result: Json) -> str:
    """What was measured, with what, on what."""
    manifest = result["manifest"]
    hardware, versions, settings = manifest["hardware"], manifest["versions"], manifest["settings"]
    mix = ", ".join(f"{name} {share}" for name, share in settings["mix"].items())
    warm_up = result["warm_up"]
    before = f"first request {result['first_request_ms']:.1f} ms"
    if warm_up:
        before += f", then {warm_up['requests']:,} requests to warm up, not counted"
    machine = f"{hardware['cores']} cores of {hardware['processor']}, {hardware['memory_gib']} GiB"
    return (
        f"{result['model']} at {result['url']}; client: {machine}, {manifest['system']}, Python "
        f"{versions['python']}, checkout {versions['checkout']}, load average "
        f"{hardware['load_before']:.1f} before. {manifest['created']}; {settings['arrivals']} arrivals, mix "
        f"{mix}, seed {settings['seed']}, {settings['processes']} process(es); {before}. "
        f"Again: `{' '.join(manifest['command'])}`"
    )
