"""What the serialised file of an archive is, by its bytes; nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from enum import StrEnum

PICKLE = b"\x80"  # the first byte of a pickle since protocol 2
ELF = b"\x7fELF"


class Weights(StrEnum):
    """Kinds of serialised models that TorchServe's handlers load."""

    torchscript = "TorchScript"
    state_dict = "state dict"
    onnx = "ONNX"
    exported = "torch.export program"
    library = "compiled library"
    unknown = "unknown format"


def weights_kind(name: str, content: bytes) -> Weights:
    """Return the kind of a serialised file.

    torch.save and torch.jit.save both write zips with `data.pkl`; only TorchScript has `constants.pkl` and `code/`.
    A torch.export program has `models/` or `serialized_exported_program.json`. torch before 1.6 wrote plain pickles.
    """
    if name.endswith(".onnx"):
        return Weights.onnx
    if content.startswith(ELF):
        return Weights.library
    return Weights.state_dict if content.startswith(PICKLE) else _zip_kind(content)


def _zip_kind(content: bytes) -> Weights:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            paths = [member.partition("/")[2] for member in archive.namelist()]
    except (zipfile.BadZipFile, ValueError, OSError):
        return Weights.unknown
    if "constants.pkl" in paths and any(path.startswith("code/") for path in paths):
        return Weights.torchscript
    if any(path.startswith("models/") or path.endswith("exported_program.json") for path in paths):
        return Weights.exported
    return Weights.state_dict if "data.pkl" in paths else Weights.unknown
