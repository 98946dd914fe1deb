"""`MAR-INF/MANIFEST.json`, as `torch-model-archiver` 0.12 writes it."""

from __future__ import annotations

HANDLER = "service.py"
CONFIG = "model-config.yaml"


def manifest(name: str, version: str) -> dict[str, object]:
    """Return the manifest of one archive; its date is fixed, since it would change the digest."""
    return {
        "createdOn": "01/01/1980 00:00:00",
        "runtime": "python",
        "model": {"modelName": name, "handler": HANDLER, "modelVersion": version, "configFile": CONFIG},
        "archiverVersion": "0.12.0",
    }
