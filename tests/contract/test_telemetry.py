"""ONNX Runtime's telemetry is off in every process that we start; where it is on, it keeps an id in HOME."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.frontend import FAST, batch_frame, load_frame, plain, started

HANDLER = """
import onnxruntime


class Silent:
    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        return [onnxruntime.__version__] * len(data)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home, in an environment without variables about telemetry."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_worker_leaves_no_id_of_the_machine_in_its_home(home, tmp_path):
    (tmp_path / "silent.py").write_text(HANDLER)
    with started(FAST, tmp_path, HOME=str(home)) as worker:
        worker.ask(load_frame(tmp_path, "silent.py"))
        worker.ask(batch_frame(plain("a", b"x")))
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("package", ["onnxserve", "onnxserve_handlers"])
def test_a_command_or_an_archive_elsewhere_leaves_no_id_of_the_machine_in_its_home(home, package):
    code = f"import {package}, onnxruntime; print(onnxruntime.__version__)"
    environment = {**os.environ, "HOME": str(home)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=60)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_who_wants_telemetry_may_say_so(home):
    code = "import onnxserve, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "HOME": str(home), "ORT_DISABLE_TELEMETRY": "0"}
    words = [sys.executable, "-c", code]
    completed = subprocess.run(words, env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert completed.stdout.strip() == "0"
