"""`onnxserve serve` of folders with spaces and accents in their names, and beside variables of TorchServe."""

from __future__ import annotations

import shutil
from dataclasses import replace

from tests.helpers import plain_http
from tests.helpers.serving import serving, settings_in
from tests.helpers.torchserve import ROOT


def test_folders_with_spaces_and_accents_and_foreign_variables_change_nothing(archive, tmp_path, monkeypatch):
    checkout = tmp_path / "my check out é"
    for name in ("torchserve/worker", "torchserve/batching-plugin/plugins"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("config.properties", "torchserve/log4j2.xml", "torchserve/metrics.yaml"):
        shutil.copy(ROOT / name, checkout / name)
    for name, value in {
        "TS_CONFIG_FILE": str(tmp_path / "none.properties"),
        "TS_MODEL_SERVER_HOME": str(tmp_path),
        "TS_INFERENCE_ADDRESS": "http://127.0.0.1:1",
        "LC_ALL": "C",  # under which Java by itself can't open files whose names have accents
    }.items():
        monkeypatch.setenv(name, value)
    settings = replace(settings_in(tmp_path / "my models é", [archive]), config=checkout / "config.properties")
    with serving(settings, tmp_path) as server:
        [worker] = server.workers("circle")
        assert str(checkout / "torchserve" / "worker") in " ".join(worker.cmdline())  # ours, not TorchServe's
        answer = plain_http.post(f"{server.url}/predictions/circle", json=[0.1, 0.2], timeout=30)
        assert answer.status_code == 200, answer.text
