"""What tests need beside Python is said before any work, and each missing program is installed by itself."""

import os
import subprocess
from pathlib import Path

from tests import ROOT

SCRIPT = ROOT / "tests" / "programs.sh"


def run(folder: Path, *arguments: str, there: tuple[str, ...] = (), conflicts: str = "") -> tuple[int, str, str]:
    """The script's status, its output, and what apt-get was asked for; `there` are programs that the machine has."""
    log = folder / "asked"
    log.touch()
    scripts = dict.fromkeys(there, "exit 0")
    scripts["apt-get"] = f'echo "$@" >> {log}; for last; do :; done; [ "$last" != "{conflicts}" ]'
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    completed = subprocess.run(
        ["/bin/sh", str(SCRIPT), *arguments],
        env={**os.environ, "PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.returncode, completed.stdout + completed.stderr, log.read_text()


def test_each_missing_program_is_named_with_its_package(tmp_path):
    status, output, calls = run(tmp_path, there=("redis-server", "npm", "curl"))
    assert status == 1
    assert "chromedriver (Debian: apt-get install chromium-driver)" in output
    assert "npm" not in output
    assert calls == ""


def test_one_package_that_conflicts_stops_no_other(tmp_path):
    _, output, calls = run(tmp_path, "--install", there=("curl",), conflicts="npm")
    lines = [line for line in calls.splitlines() if "install" in line]
    assert [line.split()[-1] for line in lines] == [
        "redis-server",
        "prometheus",
        "chromium",
        "chromium-driver",
        "npm",
        "systemd",
        "iproute2",
    ]
    assert "could not install npm" in output


def test_a_machine_that_has_everything_installs_nothing(tmp_path):
    everything = ("redis-server", "prometheus", "chromium", "chromedriver", "npm", "systemd-analyze", "ip", "curl")
    assert run(tmp_path, "--install", there=everything) == (0, "", "")


def test_the_test_command_asks_before_any_work():
    lines = (ROOT / "Makefile").read_text().splitlines()
    [test] = [line for line in lines if line.startswith("test:")]
    assert test.split()[1] == "programs"
