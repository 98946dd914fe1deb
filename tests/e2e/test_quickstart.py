"""The example notebook, executed as a reader would."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from onnxserve.processes import listening
from tests import ROOT

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
AT_MOST_S = 300


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Any:
    """The notebook with its outputs, run in an empty folder."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(shutil.copy(NOTEBOOK, folder), as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=AT_MOST_S, kernel_name="python3", resources=resources).execute()


def outputs_of(notebook: Any, code: str) -> str:
    """What the cell that ends with a line of code printed and shows."""
    [cell] = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.endswith(code)]
    parts = [output.get("text", "") + "".join(output.get("data", {}).values()) for output in cell.outputs]
    return "".join(parts)


def test_it_is_kept_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []
    assert len(cells) > 15


def test_it_shows_the_proof_and_the_report_inline(executed):
    assert "certified" in outputs_of(executed, "\narchive")
    assert "<td>chosen, certified</td>" in outputs_of(executed, "archive.evidence")
    assert "<iframe" in outputs_of(executed, "archive.report")


def test_archive_and_server_answer_alike(executed):
    assert outputs_of(executed, '{"x": 0.5, "y": 0.5}])').count("<td>inside</td>") == 2
    shown = outputs_of(executed, "[[0.0, 0.1], [1.8, -1.7]])")
    assert "<td>inside</td>" in shown
    assert "<td>outside</td>" in shown
    assert re.search(r"invalid_row: .*\n +where: instances\[1\]\.y\n +fix: ", outputs_of(executed, "print(error)"))


def test_a_canary_gets_a_part_of_the_requests_until_it_is_taken_back(executed):
    counts = [cell for cell in executed.cells if "Counter(" in cell.source]
    shared, back = (cell.outputs[0]["data"]["text/plain"] for cell in counts)
    share = re.search(r"'1\.1\.0': (\d+)", shared)
    assert share
    assert 10 <= int(share[1]) <= 80
    assert back == "Counter({'1.0.0': 200})"


def test_no_server_stays(executed):
    url = re.search(r"http://127\.0\.0\.1:(\d+)", outputs_of(executed, "\nserver"))
    assert url
    assert not listening(int(url[1]))
