"""Archives of TorchServe, with the members and the manifest that torch-model-archiver 0.12 writes."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

MANIFEST = "MAR-INF/MANIFEST.json"
# A handler as TorchServe's users write them: it needs numpy alone, and says how it was called.
HANDLER = b'''import json
import os

import numpy as np


class Doubler:
    """Doubles numbers; its weights are a file beside it."""

    def __init__(self):
        self.initialized = False

    def initialize(self, context):
        folder = context.system_properties["model_dir"]
        self.factor = np.load(os.path.join(folder, context.manifest["model"]["serializedFile"]))
        self.initialized = True

    def preprocess(self, data):
        return [row.get("data") or row.get("body") for row in data]

    def inference(self, rows):
        return [np.asarray(row["numbers"]) * self.factor for row in rows]

    def postprocess(self, results):
        return [{"numbers": result.tolist()} for result in results]

    def handle(self, data, context):
        rows = self.preprocess(data)
        context.metrics.add_counter("Doubled", len(rows))
        for index, row in enumerate(rows):
            if "status" in row:
                context.set_response_status(row["status"], "Chosen", index)
        return self.postprocess(self.inference(rows))
'''


def weights(factor: float = 2.0) -> bytes:
    """The file that the handler loads."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.array(factor))
    return stream.getvalue()


def document(name: str = "doubler", handler: str = "doubler.py", **model: Any) -> dict[str, Any]:
    """A manifest; `model` are more of the fields that the archiver writes, such as `serializedFile`."""
    fields = {"modelName": name, "handler": handler, "modelVersion": "1.0", **model}
    return {
        "createdOn": "28/11/2026 08:00:00",
        "runtime": "python",
        "model": {key: value for key, value in fields.items() if value is not None},
        "archiverVersion": "0.12.0",
    }


def doubler_members(factor: float = 2.0) -> dict[str, bytes]:
    """The members of an archive with that handler, the manifest among them."""
    manifest = document(serializedFile="factor.npy")
    return {"doubler.py": HANDLER, "factor.npy": weights(factor), MANIFEST: json.dumps(manifest, indent=2).encode()}


def with_manifest(members: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The same members with other fields in the manifest's section `model`."""
    manifest = json.loads(members[MANIFEST])
    manifest["model"] |= changes
    return {**members, MANIFEST: json.dumps(manifest).encode()}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """As `--archive-format default` does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: dict[str, bytes], top: str = "doubler") -> Path:
    """As `--archive-format tgz` does: everything below a folder of the model's name."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_folder(folder: Path, members: dict[str, bytes]) -> Path:
    """As `--archive-format no-archive` does."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
