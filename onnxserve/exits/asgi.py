"""One Python file that serves an archive under any ASGI server, and needs nothing of ours but the archive."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

from onnxserve.archive import check_archive

NEEDS = ("msgspec", "numpy", "onnxruntime", "pillow", "tokenizers")
SERVER = Path(__file__).parent / "files" / "asgi_server.py"


def to_asgi(archive: Path, folder: Path) -> list[Path]:
    """Write `server.py`, the archive and `requirements.txt`; ArchiveError for an archive that doesn't hold."""
    check_archive(archive)
    folder.mkdir(parents=True, exist_ok=True)
    server, needs = folder / "server.py", folder / "requirements.txt"
    server.write_bytes(SERVER.read_bytes())
    needs.write_text("".join(f"{name}=={version(name)}\n" for name in (*NEEDS, "uvicorn") if installed(name)), "utf-8")
    return [server, Path(shutil.copy(archive, folder)), needs]


def installed(name: str) -> bool:
    """Whether this environment, in which the archive was proven to hold, has it."""
    try:
        return bool(version(name))
    except ModuleNotFoundError:
        return False
