"""The command that an import proposes for the next export."""

from __future__ import annotations

from pathlib import Path

from onnxserve.cli.import_model import export_command

STORE = Path("model_store")


def test_the_next_export_has_the_flags_that_it_needs():
    folder = Path("models/shop")
    assert export_command(folder, STORE, trust=False, unproven=False) == "onnxserve export models/shop"
    assert export_command(folder, STORE, trust=True, unproven=True) == "onnxserve export models/shop --trust --unproven"
    assert export_command(folder, Path("my store"), trust=False, unproven=False).endswith("--store 'my store'")
