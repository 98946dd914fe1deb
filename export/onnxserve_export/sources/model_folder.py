"""The model in a folder: one of transformers or of a Triton repository, or the only model file in it or below."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import DefinitionError

from .triton_repository import is_triton, open_triton

PRETRAINED = ("config.json", "modules.json")  # of transformers, and of sentence-transformers
FITTED = (".joblib", ".pkl", ".pickle", ".skops", ".ubj", ".json", ".txt")
GRAPHS = (".onnx", ".pt2", ".pt", ".pth", ".ts", ".torchscript")


def model_in(folder: Path) -> Path:
    """Return the folder itself if transformers wrote it, else the model's file in it; DefinitionError for several."""
    if is_triton(folder):
        return open_triton(folder).file
    if any((folder / name).is_file() for name in PRETRAINED):
        return folder
    files = [entry for entry in sorted(folder.iterdir()) if entry.suffix.lower() in (*GRAPHS, *FITTED)]
    if not files:
        files = [entry for entry in sorted(folder.rglob("*")) if entry.is_file() and entry.suffix.lower() in GRAPHS]
    graphs = [entry for entry in files if entry.suffix.lower() in GRAPHS]
    if len(graphs or files) == 1:
        return (graphs or files)[0]
    names = ", ".join(entry.relative_to(folder).as_posix() for entry in files) or "none"
    what = f"there is no config.json in {folder}, and its models are: {names}"
    fix = "name the file of one model, or a folder that save_pretrained of transformers wrote"
    raise DefinitionError(what, where=str(folder), fix=fix)
