"""Modules are imported beside other work; one that fails is no one's error until it is needed."""

from __future__ import annotations

import sys
import threading

from onnxserve_export.early_imports import importing


def test_modules_are_there_at_the_end_whatever_happens_to_others(tmp_path, monkeypatch):
    (tmp_path / "early_good.py").write_text("import threading\nthread = threading.current_thread().name\n")
    (tmp_path / "early_bad.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with importing(["early_bad", "early_missing", "early_good"]):
        here = threading.current_thread().name
    assert "early_bad" not in sys.modules
    assert sys.modules.pop("early_good").thread != here
