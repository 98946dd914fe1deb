"""Load and call the functions that a model definition names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from onnxserve.errors import DefinitionError

PACKAGE = "_definition_"  # before the digest of a definition's folder
_SEARCHED: dict[str, frozenset[str]] = {}  # the folder on sys.path, and the modules that were there before


def load_module(reference: str, folder: Path) -> ModuleType:
    """Load `file.py` from the definition's folder, or an importable module, also from the current folder.

    DefinitionError if there is no such file or module.
    """
    if not reference.endswith(".py"):
        if "" not in sys.path:
            sys.path.insert(0, "")
        try:
            return importlib.import_module(reference)
        except ModuleNotFoundError as error:
            raise DefinitionError(
                f"no module {reference!r}: {error}", where=str(folder / "model.toml"), fix="pip install its package"
            ) from error
    path = PurePosixPath(reference)
    if path.is_absolute() or ".." in path.parts or not (folder / path).is_file():
        raise DefinitionError(
            f"there is no file {reference} in {folder}",
            where=str(folder / "model.toml"),
            fix="put it there; code lies in the model's folder, or in a package that is installed",
        )
    return _load_file(folder, ".".join(path.with_suffix("").parts))


def _load_file(folder: Path, name: str) -> ModuleType:
    """Make the folder a package, so that its files import each other with `from .bert import …`."""
    # Named after the whole path: two definitions may both have a model.py.
    package = f"{PACKAGE}{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    _search_in(folder)
    return importlib.import_module(f"{package}.{name}")


def _search_in(folder: Path) -> None:
    """Let `import layers` find layers.py in the folder, as in a script there, and no longer what another folder had."""
    for former, before in list(_SEARCHED.items()):
        if former != str(folder):
            with suppress(ValueError):  # a user's code may have set the path anew
                sys.path.remove(former)
            del _SEARCHED[former]
            for name in _modules_of(Path(former)) - before:
                del sys.modules[name]
    _SEARCHED.setdefault(str(folder), frozenset(sys.modules))
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _modules_of(folder: Path) -> set[str]:
    """Return the names of the modules that a folder's own files are; packages may be installed below it."""
    files = {name: Path(getattr(module, "__file__", None) or "/") for name, module in list(sys.modules.items())}
    own = {name: file.relative_to(folder).parts for name, file in files.items() if file.is_relative_to(folder)}
    return {
        name
        for name, parts in own.items()
        if "site-packages" not in parts and not name.startswith((PACKAGE, "onnxserve"))
    }


def find_function(reference: str, folder: Path) -> Callable[..., Any]:
    """Return the function that `file.py:name` or `module:name` means; DefinitionError if there is none."""
    where, _, name = reference.partition(":")
    module = load_module(where, folder)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        own = (known for known, value in vars(module).items() if inspect.isfunction(value))
        known = ", ".join(f"{where}:{own_name}" for own_name in own if not own_name.startswith("_"))
        raise DefinitionError(
            f"{where} has no function {name!r}", where=str(module.__file__ or where), fix=f"it has {known or 'none'}"
        )
    return function


def call_function(reference: str, folder: Path, **offered: Any) -> Any:
    """Call a function with those of the `offered` arguments that it names: `load()` works as does `load(fit)`.

    A module of torch that the name stands for is returned as it is. DefinitionError if there is no such function, or if
    it wants another argument.
    """
    function = find_function(reference, folder)
    if _is_built(function):
        return function
    parameters = inspect.signature(function).parameters
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in offered
    ]
    if needed:
        known = f"it may name {', '.join(sorted(offered))}; " if offered else ""
        fix = f"{known}give each a default, or name a function without arguments that calls it"
        raise DefinitionError(
            f"{reference} wants {', '.join(needed)}, which is not offered", where=str(folder), fix=fix
        )
    return function(**{name: value for name, value in offered.items() if name in parameters})


def _is_built(value: Any) -> bool:
    """Return whether a name stands for a torch module itself, which its file has built, and for no function."""
    return not inspect.isclass(value) and callable(getattr(value, "forward", None)) and hasattr(value, "state_dict")
