"""Converted archives in the real Triton, asked by its own clients over HTTP and gRPC."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tritonserver import NUMPY, REQUIREMENT
from onnxserve.archive import read_signature
from onnxserve.convert import to_triton
from tests import ROOT
from tests.helpers.environments import environment_with
from tests.helpers.triton import Addresses, running, server_in

CLIENTS = ROOT / ".venv" / "clients" / "bin" / "python"  # an environment of their own: they pin what we don't
MODELS = ("segment", "sentiment", "digits")


@pytest.fixture(scope="module")
def triton(tmp_path_factory) -> Iterator[Addresses]:
    environment = environment_with(REQUIREMENT, tmp_path_factory, NUMPY)
    folder = tmp_path_factory.mktemp("triton")
    for name in MODELS:
        to_triton(archive_of(name), folder / "models")
    with running(server_in(environment), folder / "models", folder) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> Path:
    """Golden rows of each model, and the source's label for each."""
    path: Path = tmp_path_factory.mktemp("golden") / "golden.json"
    path.write_text(json.dumps({name: golden_of(name) for name in MODELS}))
    return path


def archive_of(name: str) -> Path:
    return ROOT / "model_store" / f"{name}-1.0.0.mar"


def golden_of(name: str) -> dict[str, Any]:
    with zipfile.ZipFile(archive_of(name)) as archive:
        rows = json.loads(archive.read("golden.json"))
    labels = read_signature(archive_of(name))["output"]["labels"]
    return {"inputs": rows["instances"], "labels": [labels[int(np.argmax(row))] for row in rows["outputs"]]}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_client_gets_golden_answers_own_errors_and_batches(triton, golden, protocol):
    """tests/clients/converted.py has the cases, and prints those that don't hold."""
    assert CLIENTS.is_file(), "make .venv/clients/.installed"
    command = [str(CLIENTS), str(ROOT / "tests" / "clients" / "converted.py"), getattr(triton, protocol), str(golden)]
    completed = subprocess.run([*command, protocol], capture_output=True, text=True, check=False, timeout=120)
    assert completed.returncode == 0, completed.stderr[-3000:]
    assert json.loads(completed.stdout.splitlines()[-1]) == [], triton.log.read_text(errors="replace")[-3000:]
