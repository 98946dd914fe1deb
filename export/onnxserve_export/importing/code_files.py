"""A function that builds a model: its file, the modules beside it that it imports, and the files that it reads.

All of them go into the model's folder, so that an export elsewhere, or later, builds the same model.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError, OnnxserveError
from onnxserve_export.sources import SourceModel, open_source

from .artefact import Artefact

LONGEST = 200  # characters of a path
PRETRAINED = "config.json"
MOST_GB = 10.0  # of all files that are copied
GB = 10**9
OWN = {"model.toml", "golden.jsonl"}  # of a model's folder, which an import writes


def call_source(artefact: Artefact, *, trust: bool) -> tuple[SourceModel, Mapping[str, Path]]:
    """Return what a function gives, and the files to keep with it by their names in the model's folder.

    A function of an importable module keeps none: its package is installed wherever the model is exported.
    DefinitionError if the function raises, or reads a file that a later export wouldn't find.
    """
    code = artefact.path
    if code is None:
        return _built(artefact.reference, Path.cwd(), trust=trust), {}
    with opened_files(code.parent) as read:
        source = _built(artefact.reference, code.parent, trust=trust)
    if loose := sorted(path for path in read if not Path(path).is_absolute() and _is_kept(path)):
        raise DefinitionError(
            f"{code.name} opens {loose[0]!r} in the current folder, where an export from elsewhere won't find it",
            where=str(code),
            fix=f"keep it beside the code, and open Path(__file__).with_name({Path(loose[0]).name!r})",
        )
    files = {*imported_files(code), *map(Path, read)}
    return source, names_in(code.parent, {*files, *chain.from_iterable(map(weights_beside, files))})


def names_in(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Return the files to keep of those that lie below a folder, by their names in it."""
    names = {path.relative_to(folder).as_posix(): path for path in files if path.is_relative_to(folder)}
    return {name: path for name, path in names.items() if _is_kept(name) and path.is_file()}


def check_size(files: Mapping[str, bytes | Path]) -> None:
    """Raise DefinitionError if the files to copy are more than a model's folder should hold; it names the largest."""
    sizes = {content: content.stat().st_size for content in files.values() if isinstance(content, Path)}
    total = sum(sizes.values())
    if total > MOST_GB * GB:
        largest = max(sizes, key=lambda path: sizes[path])
        raise DefinitionError(
            f"functions read or name files of {total / GB:.1f} GB, more than {MOST_GB:g} GB",
            where=f"{largest} alone has {sizes[largest] / GB:.1f} GB",
            fix="keep what the model doesn't need out of the code's texts, or open large files by an absolute path, "
            "which isn't copied",
        )


def _is_kept(name: str) -> bool:
    hidden = any(part.startswith(".") or part in ("__pycache__", "site-packages") for part in Path(name).parts)
    return not hidden and name not in OWN


def _built(reference: str, place: Path, *, trust: bool) -> SourceModel:
    """Return what a function gives; DefinitionError if it raises."""
    try:
        return open_source(reference, place, {}, trust=trust)
    except OnnxserveError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        what = f"{reference} raises {type(error).__name__}: {first}"
        raise DefinitionError(what, where=str(place), fix="it must build the module without arguments") from error


class _Watch:
    """The files that Python opens for reading, below a folder or by a relative path; an audit hook can't be removed."""

    folder: Path | None = None
    paths: set[str]
    installed = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or self.folder is None or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path, mode = Path(os.fsdecode(arguments[0])), str(arguments[1] or "r")
        is_near = not path.is_absolute() or path.is_relative_to(self.folder)
        if is_near and not set(mode) & set("wax+") and path.is_file():
            self.paths.add(str(path))


WATCH = _Watch()


@contextmanager
def opened_files(folder: Path) -> Iterator[set[str]]:
    """Collect the files that are opened for reading meanwhile, below a folder or by a relative path, by their paths."""
    if not WATCH.installed:
        sys.addaudithook(WATCH)
        WATCH.installed = True
    WATCH.folder, WATCH.paths = folder, set()
    try:
        yield WATCH.paths
    finally:
        WATCH.folder = None


def imported_files(code: Path) -> set[Path]:
    """Return a Python file, the modules beside it that it imports, theirs, and the files that their texts name.

    Readers in other languages than Python open files unseen, so a text that is the name of a file counts as read.
    """
    folder, waiting, files = code.parent, [code], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in files or not path.is_file():
            continue
        files.add(path)
        if path.suffix == ".py":
            waiting += _named_files(path, folder)
    return files


def _named_files(path: Path, folder: Path) -> Iterator[Path]:
    """Yield the files that a module's imports and texts name, those of other folders too."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes(), filename=str(path))))
    except SyntaxError:  # a module for another Python, which nothing imported
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(folder, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else folder
            yield from _module_files(base, node.module or "")
            for alias in node.names:
                yield from _module_files(base, ".".join(filter(None, (node.module, alias.name))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = [name for text in texts if is_name(name := text.removeprefix("/"))]  # f"{folder}/net.pt" has "/net.pt"
    places = {path.parent, folder}
    places |= {place / name for place in places for name in names if (place / name).is_dir()}
    yield from (place / name for place in places for name in names)


def weights_beside(path: Path) -> Iterator[Path]:
    """Yield the weights of the configuration that `from_pretrained` reads: safetensors opens them by its own code."""
    if path.name == PRETRAINED:
        yield from path.parent.glob("*.safetensors")


def is_name(text: str) -> bool:
    """Return whether a text may be the relative path of a file or folder."""
    return 0 < len(text) < LONGEST and text.isprintable() and text[0] not in "/~." and ".." not in text


def _module_files(base: Path, module: str) -> Iterator[Path]:
    """Yield the files of a module and of the packages around it."""
    parts = [part for part in module.split(".") if part]
    for count in range(len(parts) + 1):
        stem = base.joinpath(*parts[:count])
        yield stem / "__init__.py"
        if count:
            yield stem.with_name(f"{stem.name}.py")
