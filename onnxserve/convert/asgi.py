"""Conversion to one Python file that serves an archive under any ASGI server, without onnxserve."""

from __future__ import annotations

import shutil
from pathlib import Path

from onnxserve.archive import check_archive, read_config, read_signature
from onnxserve.archive.needs import provider_of, requirements_of

SERVER = Path(__file__).parent / "files" / "asgi_server.py"


def to_asgi(archive: Path, folder: Path) -> list[Path]:
    """Write `server.py`, the archive and `requirements.txt`; ArchiveError if it fails its check or isn't ours."""
    check_archive(archive)
    kind, provider = read_signature(archive)["input"]["kind"], provider_of(read_config(archive))
    folder.mkdir(parents=True, exist_ok=True)
    server, needs = folder / "server.py", folder / "requirements.txt"
    server.write_bytes(SERVER.read_bytes())
    needs.write_text(requirements_of(kind, "uvicorn", provider=provider), encoding="utf-8")
    return [server, Path(shutil.copy(archive, folder)), needs]
