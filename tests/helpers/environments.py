"""Environments with one package more than the tests' own, whose other packages they share.

A machine without the registry goes without tests that need them; where CI runs them, it must not.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

from tests.helpers.once import create_once


def environment_with(requirement: str, factory: pytest.TempPathFactory, *others: str) -> Path:
    """Return the folder of an environment with a wheel for Linux on x86-64, made once a run.

    `others` are requirements that take the place of the tests' own packages.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip(f"{requirement} exists for Linux on x86-64 only")
    return create_once(factory, requirement.partition("=")[0], lambda folder: _make(folder, requirement, *others))


def _make(folder: Path, *requirements: str) -> None:
    uv, python = [sys.executable, "-m", "uv"], folder / "bin" / "python"
    subprocess.run([*uv, "venv", "-q", "--allow-existing", "-p", sys.executable, str(folder)], check=True)
    install = [*uv, "pip", "install", "-q", "--no-deps", "-p", str(python), *requirements]
    completed = subprocess.run(install, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        go_without(f"{requirements[0]} can't be installed: {completed.stderr.strip()[-300:]}")
    [packages] = folder.glob("lib/python*/site-packages")
    # This way the editable install of the checkout is found too, which a plain path wouldn't read.
    code = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (packages / "packages_of_the_tests.pth").write_text(code)


def go_without(reason: str) -> NoReturn:
    """Skip the tests, but let them fail in CI, whose machines have what they need."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
