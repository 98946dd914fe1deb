"""Open a source by the suffix of its file, or by the type of what a function gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve.locations.location import is_function
from onnxserve_export.user_code import call_function

from .model_folder import model_in
from .pointer import check_pointer
from .source import SourceModel

FORMS = (
    "model.py:load or module:factory, or a file: .onnx, .pt2, .pt (TorchScript), .joblib, .pkl or .skops "
    "(scikit-learn), .ubj or .json (XGBoost), .txt (LightGBM), or a folder of Hugging Face's transformers, or one with "
    "the only model or a Triton repository"
)


def open_source(
    reference: str, folder: Path, offered: Mapping[str, Any], outputs: Sequence[str] = (), *, trust: bool = False
) -> SourceModel:
    """Return the model that `reference` names: a file, relative to `folder`, or a function `module:name`.

    `offered` are the arguments that the function may take; `outputs` choose the outputs to serve, the main one first.
    `trust` allows pickles, which run code as they are read. DefinitionError for anything else.
    """
    if not is_function(reference):
        path = folder / reference
        if not path.exists():
            raise DefinitionError(f"there is no file {reference}", where=str(path), fix=f"give {FORMS}")
        return open_file(path, outputs, trust=trust)
    return open_object(call_function(reference, folder, **offered), reference, outputs)


def open_file(path: Path, outputs: Sequence[str] = (), *, trust: bool = False) -> SourceModel:
    """Return the model in a file, by its suffix; DefinitionError if the suffix is unknown or the file damaged."""
    if path.is_dir():
        path = model_in(path)
    if path.is_dir():
        from .pretrained import open_pretrained

        return open_pretrained(path, outputs, trust=trust)
    check_pointer(path)
    match path.suffix.lower():
        case ".onnx":
            from .onnx_file import open_onnx

            return open_onnx(path, outputs)
        case ".pt2":
            from .exported_program import open_exported

            return open_exported(path, outputs, trust=trust)
        case ".pt" | ".pth" | ".ts" | ".torchscript":
            from .torchscript import open_torchscript

            return open_torchscript(path, outputs, trust=trust)
        case ".joblib" | ".pkl" | ".pickle" | ".skops" | ".ubj" | ".json" | ".txt":
            from .tree_files import open_trees

            return open_trees(path, trust=trust)
        case ".py":
            what, fix = f"{path.name} is code", f"name its function that builds the model: {path}:FUNCTION"
        case ".safetensors" | ".bin" | ".ckpt":
            what = f"{path.name} has weights without their model"
            fix = f"give the folder with config.json that save_pretrained wrote, such as {path.parent}; or a function"
        case _:
            what, fix = f"{path.name} isn't a model that can be read", f"give {FORMS}"
    raise DefinitionError(what, where=str(path), fix=fix)


def open_object(candidate: Any, reference: str, outputs: Sequence[str] = ()) -> SourceModel:
    """Return the model that a function gave; DefinitionError if it is of no known kind.

    Kinds are told by the libraries of the classes, so that only the library in use is imported.
    """
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(candidate).__mro__}
    libraries = {name.partition(".")[0] for name in names}
    if "onnx.onnx_ml_pb2.ModelProto" in names:
        from .onnx_file import OnnxSource

        return OnnxSource(candidate, reference, outputs)
    if "torch.export.exported_program.ExportedProgram" in names:
        from .exported_program import ExportedSource

        return ExportedSource(candidate, outputs)
    if "torch.jit._script.ScriptModule" in names:
        from .torchscript import ScriptSource

        return ScriptSource(candidate, outputs)
    if "torch.nn.modules.module.Module" in names:
        from .torch_module import TorchModule

        return TorchModule(candidate, outputs)
    if libraries & {"sklearn", "xgboost", "lightgbm"}:
        from .trees import TreeSource

        return TreeSource(candidate)
    raise DefinitionError(
        f"{reference} gave {type(candidate).__name__}, which isn't a model",
        fix="return a torch.nn.Module, an ExportedProgram, a ScriptModule, an onnx.ModelProto, or a fitted model of "
        "scikit-learn, XGBoost or LightGBM",
    )
