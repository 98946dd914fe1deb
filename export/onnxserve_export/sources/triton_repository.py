"""A Triton repository whose backends need no code: where its configuration is, and the file of the highest version.

Layout and fields: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/
model_repository.html and model_configuration.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from onnxserve.errors import DefinitionError

from .pbtxt import Message, read_message

CONFIG = "config.pbtxt"
# Backends, also by the older field `platform`, and the files that they load.
FILES = {
    "onnxruntime": "model.onnx",
    "onnxruntime_onnx": "model.onnx",
    "pytorch": "model.pt",
    "pytorch_libtorch": "model.pt",
}


class TritonModel(NamedTuple):
    """One model of a repository: its configuration, and the file of its highest version."""

    config: Message
    folder: Path
    file: Path


def is_triton(path: Path) -> bool:
    """Return whether a folder is a model of a repository, or a repository."""
    return (path / CONFIG).is_file() or any(path.glob(f"*/{CONFIG}"))


def open_triton(path: Path) -> TritonModel:
    """Return a model of a repository; DefinitionError for several models, and for a backend that runs code."""
    models = [path] if (path / CONFIG).is_file() else sorted(config.parent for config in path.glob(f"*/{CONFIG}"))
    if len(models) != 1:
        names = ", ".join(model.name for model in models)
        raise DefinitionError(f"the repository has the models {names}", where=str(path), fix="name the folder of one")
    [folder] = models
    where = folder / CONFIG
    config = read_message(read_text(where), str(where))
    backend = str(first(config, "backend") or first(config, "platform") or _backend_by_file(folder))
    if backend not in FILES:
        what = "an ensemble has no graph of its own" if "ensemble" in backend else f"backend {backend!r} isn't taken"
        fix = "import models of the backends onnxruntime and pytorch (TorchScript), one by one"
        raise DefinitionError(what, where=str(where), fix=fix)
    name = plain_name(str(first(config, "default_model_filename") or FILES[backend]), "default_model_filename")
    return TritonModel(config, folder, _version_file(folder, name, served_versions(config)))


def _backend_by_file(folder: Path) -> str:
    """Return the backend of a configuration that names none, as Triton does: by the file's name; empty for others."""
    return next((backend for backend, name in FILES.items() if any(folder.glob(f"[0-9]*/{name}"))), "")


def served_versions(config: Message) -> frozenset[int]:
    """Return the versions that `version_policy` lists; empty where the latest or all are served.

    DefinitionError for one that is no whole number.
    """
    policy = first(config, "version_policy")
    specific = first(policy, "specific") if isinstance(policy, dict) else None
    versions = specific.get("versions", []) if isinstance(specific, dict) else []
    for version in versions:
        if not isinstance(version, int):
            what, fix = f"version_policy lists {version!r}", "list whole numbers, as versions: [1, 2]"
            raise DefinitionError(what, where=CONFIG, fix=fix)
    return frozenset(versions)


def _version_file(folder: Path, name: str, listed: frozenset[int]) -> Path:
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())
    existing = [
        path for number in numbers if number in (listed or numbers) and (path := folder / str(number) / name).exists()
    ]
    if not existing:
        of = f" of {', '.join(map(str, sorted(listed)))}, which version_policy lists," if listed else " of it"
        put = f"put it into {folder.name}/{max(listed, default=1)}"
        raise DefinitionError(f"no version{of} has {name}", where=str(folder), fix=put)
    return existing[-1]


def first(message: Message, field: str) -> Any:
    """Return the first value of a field, None where it isn't there."""
    values = message.get(field)
    return values[0] if values else None


def plain_name(name: str, field: str) -> str:
    """Return the name of a file; DefinitionError for a path, which may lead out of the model's folder."""
    if "/" in name or "\\" in name or name == "..":
        raise DefinitionError(f"{field} is {name!r}, the name of a file is expected", where=CONFIG)
    return name


def read_text(path: Path) -> str:
    """Return the text of a file; DefinitionError if it isn't UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path.name} isn't UTF-8", where=str(path)) from error
