"""Tests of what the batching plugin does, which a machine without a JDK may lack."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.torchserve import ROOT

BUILT = (ROOT / "torchserve" / "batching-plugin" / "plugins" / "onnxserve-batching.jar").is_file()
needs_plugin = pytest.mark.skipif(
    not BUILT and shutil.which("javac") is None, reason="the plugin is optional, and building it needs a JDK"
)
