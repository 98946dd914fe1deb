"""Locust against a real server: the report, and an exit code that tells whether the objective held."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.release import ReleaseService
from tests.helpers.torchserve import ROOT, Running, running


@pytest.fixture(scope="module")
def demo_server(demo_archives, tmp_path_factory) -> Iterator[Running]:
    """On a port: Locust knows no unix sockets."""
    with running(tmp_path_factory.mktemp("served"), demo_archives, plain=True) as server:
        yield server


def locust(server: Running, report: Path, **variables: str) -> subprocess.Popen[str]:
    tool = str(Path(sys.executable).parent / "locust")
    command = [tool, "-f", str(ROOT / "loadtests" / "locustfile.py"), "--headless"]
    command += ["--host", str(server.settings.inference), "--html", str(report), "--only-summary"]
    environment = os.environ | {"LOAD_USERS": "4", "LOAD_SECONDS": "8", "SLO_P99_MS": "20000"} | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_run_without_failures_passes_and_writes_its_report(demo_server, tmp_path):
    process = locust(demo_server, tmp_path / "report.html", LOAD_SHAPE="spike")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    for model in ("segment", "sentiment", "digits"):
        assert model in (tmp_path / "report.html").read_text()


def test_a_broken_objective_fails_the_run_and_is_named(demo_server, tmp_path):
    process = locust(demo_server, tmp_path / "report.html", SLO_P99_MS="0.001", LOAD_SECONDS="4")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "objective broken: segment: p99" in output


def test_workers_change_under_locusts_load_without_a_failure(demo_server, tmp_path):
    release: ReleaseService = demo_server.release
    process = locust(demo_server, tmp_path / "report.html", LOAD_SECONDS="15")
    time.sleep(3)
    release.scale("segment", "1.0.0", 2)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert [version.workers for version in release.status("segment")] == [2]
