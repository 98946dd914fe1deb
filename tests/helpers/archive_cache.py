"""Archives of earlier test runs, which are used again as long as the files and packages that made them are the same.

They lie in pytest's own cache; `pytest --cache-clear` removes them.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("handlers", "export", "onnxserve", "tests/helpers", "tests/conftest.py")
OTHER_KEYS = 4  # versions of the sources, the newest ones, whose archives are kept beside the present one's


def fill_once(config: pytest.Config, name: str, folder: Path, fill: Callable[[Path], object]) -> None:
    """Fill `folder` with a copy of what an earlier run made under this name, or by `fill`, and keep a copy of that."""
    if not hasattr(config, "cache") or config.cache is None:  # pytest runs without its cache
        fill(folder)
        return
    store = Path(config.cache.mkdir("archives"))
    kept = store / sources_key() / name
    if not kept.is_dir():
        fill(folder)
        keep(folder, kept)
        drop_old(store)
    else:
        shutil.copytree(kept, folder, dirs_exist_ok=True)


def keep(folder: Path, kept: Path) -> None:
    """Copy a folder in one step, since another run may want the same copy."""
    kept.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        copy = shutil.copytree(folder, Path(scratch) / kept.name)
        try:
            copy.rename(kept)
        except OSError:  # it exists: the other run was first
            if not kept.is_dir():
                raise


def drop_old(store: Path) -> None:
    """Remove the archives of all but the newest sources."""
    others = [path for path in store.iterdir() if path.name != sources_key()]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[OTHER_KEYS:]:
        shutil.rmtree(path, ignore_errors=True)


@cache
def sources_key() -> str:
    """Return a digest of all that an archive depends on: our files, the packages, Python and the machine's kind."""
    digest = hashlib.sha256()
    packages = sorted(f"{package.name} {package.version}" for package in distributions())
    digest.update("\n".join([platform.python_version(), platform.machine(), *packages]).encode())
    for path in sorted(path for name in SOURCES for path in files_of(ROOT / name)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def files_of(path: Path) -> list[Path]:
    """Return a file, or the files below a folder without what Python compiled."""
    if path.is_file():
        return [path]
    return [below for below in path.rglob("*") if below.is_file() and below.suffix != ".pyc"]
