"""What an import prints at its end, run as it is printed: the model is served, and answers."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.torchserve import free_ports
from tests.helpers.artefacts import write_linear
from tests.helpers.waiting import wait_for

PROGRAMS = Path(sys.executable).parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ONNXSERVE_")}


def in_shell(command: str, folder: Path) -> str:
    """What a command prints in a working folder; it succeeds."""
    environment = {**ENVIRONMENT, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    words = ["bash", "-c", command]
    completed = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, (command, completed.stderr)
    return completed.stdout


def printed(name: str, folder: Path, *flags: str) -> tuple[str, str]:
    """The commands that an import of a graph proposes, to serve it and to ask it."""
    write_linear(folder / "net.onnx")
    words = ["onnxserve", "import", "net.onnx", name, "--draft", *flags]
    lines = in_shell(shlex.join(words), folder).splitlines()
    [serve] = [line.removeprefix("serve it: ") for line in lines if line.startswith("serve it: ")]
    [ask] = [line.removeprefix("ask it:   ") for line in lines if line.startswith("ask it:   ")]
    return serve, ask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder whose gateway has ports of its own."""
    port, metrics = free_ports(2)
    (tmp_path / "gateway.toml").write_text(f"[listen]\nport = {port}\nmetrics_port = {metrics}\n")
    return tmp_path


@contextlib.contextmanager
def run_beside(command: str, folder: Path) -> Iterator[None]:
    """Run a server by the command until the block ends."""
    log = folder / "serve.log"
    environment = {**ENVIRONMENT, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    with log.open("wb") as stream:
        words = ["bash", "-c", f"exec {command} --warm-up 0"]
        server = subprocess.Popen(words, cwd=folder, env=environment, stdout=stream, stderr=stream)
    try:
        wait_for(lambda: server.poll() is not None or "ready on " in log.read_text())
        assert server.poll() is None, log.read_text()
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(90)


def test_the_commands_that_an_import_prints_serve_the_model_and_ask_it(folder):
    serve, ask = printed("first", folder)
    with run_beside(serve, folder):
        assert json.loads(in_shell(f"{ask} --json", folder))["model"] == "first"
        for version in ("1.0.0", "1.1.0"):
            register, ask = printed("second", folder, "--version", version)
            assert register.startswith("onnxserve release register ")
            in_shell(register, folder)
            answer = json.loads(in_shell(f"{ask} --json", folder))
            assert (answer["model"], answer["version"], len(answer["predictions"])) == ("second", version, 1)
