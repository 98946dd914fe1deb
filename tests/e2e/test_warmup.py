"""The frontend is loaded before clients come, and nothing of that stays behind."""

from __future__ import annotations

import socket

import pytest

from onnxserve.errors import ServerError
from onnxserve.processes import make_run_folder
from onnxserve.torchserve import Settings
from onnxserve.torchserve.warmup import MODEL, NAME, warm_up
from tests.helpers.torchserve import ROOT, running


def test_a_warm_up_answers_many_requests_and_leaves_no_model_and_no_file(archive, tmp_path):
    kept = sorted(path.name for path in MODEL.iterdir() if path.suffix != ".pyc")
    with running(tmp_path, [archive]) as server:
        warmed = warm_up(server.settings, 2)
        again = warm_up(server.settings, 1)
        assert server.release.management.models() == ["circle"]
        assert server.post("circle", b"[0, 0]").status_code == 200
        metrics = server.get(server.settings.metrics, "/metrics")
    assert warmed.last > 100
    assert again.first > 100
    assert not (server.settings.state / "warm-up").exists()
    assert sorted(path.name for path in MODEL.iterdir() if path.suffix != ".pyc") == kept
    counters = [line for line in metrics.text.splitlines() if line.startswith("ts_inference_requests_total")]
    assert [line.split()[-1] for line in counters if 'model_name="circle"' in line] == ["1.0"]
    assert any(f'model_name="{NAME}"' in line for line in counters)


def test_a_server_that_is_not_there_is_said(tmp_path):
    settings = Settings(ROOT / "config.properties", tmp_path / "store", tmp_path / "state")
    assert settings.management.path
    make_run_folder(settings.run)
    with socket.socket(socket.AF_UNIX) as killed:  # what a killed server leaves
        killed.bind(str(settings.management.path))
    with pytest.raises(ServerError, match="no answer from the management API"):
        warm_up(settings, 1)
