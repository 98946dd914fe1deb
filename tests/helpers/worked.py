"""The worked handlers of the reference: their text as on the page, exported with the small model of their task."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import ROOT
from tests.helpers.archive_cache import fill_once
from tests.helpers.task_models import MODELS

PAGE = ROOT / "docs" / "reference" / "handlers.md"
SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
# `[input.extra]` of the models whose handlers read settings.
EXTRA = {
    "multilabel": "temperature = 2.0",
    "embedding": "width = 2",
    "rerank": "half_life_days = 30",
    "detection": "thresholds = { cat = 0.55, dog = 0.3 }",
}


class Worked(NamedTuple):
    """A handler of the page: its class and the file that has it."""

    name: str
    source: str


def worked_handlers() -> dict[str, Worked]:
    """Return the handlers of the page by task."""
    head = PAGE.read_text(encoding="utf-8").partition("## Tensors of each kind")[0] + "##"
    handlers = {}
    for task, section in SECTION.findall(head):
        [source] = CODE.findall(section)
        [name] = CLASS.findall(source)
        handlers[task] = Worked(name, source)
    return handlers


def worked_store(config: pytest.Config, folder: Path) -> Path:
    """Return a folder with the archives of all worked handlers, of an earlier run if page and sources are the same."""
    digest = hashlib.sha256(PAGE.read_bytes()).hexdigest()[:12]
    fill_once(config, f"worked-{digest}", folder, export_worked)
    return folder


def export_worked(folder: Path) -> None:
    """Export each handler with the small model of its task into `folder`."""
    from onnxserve_export.export import export_model
    from onnxserve_export.options import ExportOptions
    from onnxserve_export.steps import STEPS

    for task, worked in worked_handlers().items():
        model = MODELS[task].write(folder / "models" / task, worked.name, worked.source, EXTRA.get(task, ""))
        export_model(model, folder, STEPS, lambda _: None, options=ExportOptions(draft=True))
