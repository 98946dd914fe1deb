"""The model in a folder: one of transformers or of a Triton repository, or the only model file in it or below.

A folder of transformers without weights is described by its files, and its model is the graph in it, as Optimum and
repositories of the hub have it: `model.onnx`, or `onnx/model.onnx`.
"""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import DefinitionError

from .triton_repository import is_triton, open_triton

PRETRAINED = ("config.json", "modules.json")  # of transformers, and of sentence-transformers
WEIGHTS, EXPORTED = ("*.safetensors", "pytorch_model*.bin"), "onnx"
FITTED = (".joblib", ".pkl", ".pickle", ".skops", ".ubj", ".json", ".txt")
GRAPHS = (".onnx", ".pt2", ".pt", ".pth", ".ts", ".torchscript")


def model_in(folder: Path) -> Path:
    """Return the folder itself if transformers wrote it, else the model's file in it; DefinitionError for several."""
    if is_triton(folder):
        return open_triton(folder).file
    if is_pretrained(folder):
        return folder if has_weights(folder) else exported_graph(folder) or folder
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


def is_pretrained(folder: Path) -> bool:
    """Return whether transformers or sentence-transformers wrote a folder's description of a model."""
    return any((folder / name).is_file() for name in PRETRAINED)


def has_weights(folder: Path) -> bool:
    """Return whether a folder of transformers has weights, in it or below."""
    return any(path for pattern in WEIGHTS for path in folder.rglob(pattern))


def exported_graph(folder: Path) -> Path | None:
    """Return the graph of a folder without weights: `model.onnx`, or the only one; None where none is."""
    graphs = [path for place in (folder, folder / EXPORTED) for path in sorted(place.glob("*.onnx"))]
    named = [path for path in graphs if path.name == "model.onnx"]
    return next(iter(named or (graphs if len(graphs) == 1 else ())), None)


def description_of(file: Path) -> Path | None:
    """Return the folder of transformers that describes a graph: its own, or the one above `onnx`; None for another."""
    folders = [file.parent, *([file.parent.parent] if file.parent.name == EXPORTED else [])]
    described = [folder for folder in folders if (folder / PRETRAINED[0]).is_file()]
    return described[0] if described and file.suffix.lower() == ".onnx" else None
