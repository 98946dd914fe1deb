"""What ends `serve`: SIGINT where a shell has it ignored, and for tests the end of what started it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.helpers.serving import Serving, settings_in
from tests.helpers.torchserve import ROOT
from tests.helpers.waiting import wait_for

STARTER = """
import sys
from pathlib import Path
from tests.helpers.serving import begin, settings_in

folder = Path(sys.argv[1])
server = begin(settings_in(folder, [Path(sys.argv[2])]), folder, "--warm-up", "0")
server.wait_started()
print(server.process.pid, flush=True)
sys.stdin.read()
"""
SHELL = 'trap "" INT; "$@" & echo $! >"$0"; wait $!'  # some shells ignore it for a background job by themselves


def test_sigint_ends_a_server_that_was_started_in_the_background(archive, tmp_path):
    settings, output = settings_in(tmp_path, [archive]), tmp_path / "serve.log"
    port = int(settings.gateway_file.read_text().partition("\nport = ")[2].split()[0])
    flags = ["--config", settings.config, "--store", settings.store, "--state", settings.state]
    words = ["serve", *flags, "--gateway-file", settings.gateway_file, "--warm-up", "0"]
    command = [sys.executable, "-m", "onnxserve", *map(str, words)]
    with output.open("ab") as stream:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", SHELL, str(tmp_path / "pid"), *command], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().strip())
        process = psutil.Process(int((tmp_path / "pid").read_text()))
        Serving(shell, settings, port, output).wait_started()
        children = process.children(recursive=True)
        assert is_ignored(shell.pid)
        process.send_signal(signal.SIGINT)
        assert shell.wait(90) == 0
        _, left = psutil.wait_procs(children, 20)
        assert not left
    finally:
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            psutil.Process(int((tmp_path / "pid").read_text())).kill()
        shell.wait(90)


def test_a_server_of_the_tests_ends_with_the_process_that_started_it(archive, tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path), str(archive)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        server = psutil.Process(int(starter.stdout.readline()))
        processes = [server, *server.children(recursive=True)]
        starter.kill()
    _, left = psutil.wait_procs(processes, 90)
    assert not left


def is_ignored(pid: int) -> bool:
    """Whether a process ignores SIGINT, and so do those that it starts (proc_pid_status(5))."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return bool(int(status.partition("SigIgn:\t")[2].split()[0], 16) & 1 << signal.SIGINT - 1)
