"""pip downloads a file of a package; its own variables such as PIP_INDEX_URL and HTTPS_PROXY apply."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from onnxserve.errors import SourceError

COMMAND = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]


def pip_download(what: str, folder: Path, name: str, arguments: list[str], *, where: str, fix: str) -> Path:
    """Let pip download `what` into `folder`, and return the first file there whose name matches the glob `name`.

    SourceError with pip's reason, with `where` and `fix`, if there is none.
    """
    command = [*COMMAND, "-d", str(folder), *arguments]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    files = sorted(path for path in folder.glob(name) if path.is_file())
    if completed.returncode != 0 or not files:
        errors = [line for line in completed.stderr.splitlines() if "ERROR" in line] or completed.stderr.splitlines()
        reason = f"pip could not download {what}: {errors[-1] if errors else 'no message'}"
        raise SourceError(reason, where=where, fix=fix)
    return files[0]
