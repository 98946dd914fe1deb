"""The files of a handler of a user's own: its file, and the modules beside it that it imports by relative names.

In an archive they are modules of the handlers' package. Where that has a module of a name itself, the name means that
one, as `.handler` and `.inputs.text` do.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from pathlib import Path

from onnxserve.errors import DefinitionError

Parts = tuple[str, ...]  # of a module's dotted name


def handler_files(folder: Path, file: str, packaged: Container[str]) -> dict[str, bytes]:
    """Return the content of the handler's files by their names in the package.

    `file` is the handler's in the definition's folder; `packaged` are the names of the package's own files.
    DefinitionError for a module beside it that is imported by an absolute name, which an archive doesn't find.
    """
    content = (folder / file).read_bytes()
    files, waiting = {f"custom_{file}": content}, [*imported_names(content, ())]
    check_absolute(content, folder, file)
    while waiting:
        parts = waiting.pop()
        if is_packaged(parts, packaged):
            continue
        for name in names_of(parts):
            if name not in files and (folder / name).is_file():
                files[name] = (folder / name).read_bytes()
                check_absolute(files[name], folder, name)
                waiting += imported_names(files[name], Path(name).parent.parts)
    return files


def imported_names(code: bytes, package: Parts) -> Iterator[Parts]:
    """Yield what the relative imports of a module in `package` may name: modules, or what stands in them."""
    for node in nodes_of(code):
        if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(package) + 1:
            continue
        base = package[: len(package) + 1 - node.level] + tuple(filter(None, (node.module or "").split(".")))
        yield base
        yield from ((*base, alias.name) for alias in node.names)


def check_absolute(code: bytes, folder: Path, name: str) -> None:
    """Raise DefinitionError for an absolute import of a module of the folder."""
    for node in nodes_of(code):
        plain = node.names if isinstance(node, ast.Import) else []
        names = [alias.name for alias in plain]
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
        for first in (known.partition(".")[0] for known in names):
            if (folder / f"{first}.py").is_file():
                raise DefinitionError(
                    f"{name} imports {first}.py, which lies beside it, by an absolute name",
                    where=f"{folder / name}:{getattr(node, 'lineno', 1)}",
                    fix=f"import it as a part of the handler: from .{first} import …, or from . import {first}",
                )


def nodes_of(code: bytes) -> list[ast.AST]:
    """Return the nodes of a module; none of one that can't be parsed, which the check of the handler says."""
    try:
        return list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError):
        return []


def is_packaged(parts: Parts, packaged: Container[str]) -> bool:
    """Return whether the package has a module or a folder of the name's first part itself."""
    return not parts or f"{parts[0]}.py" in packaged or f"{parts[0]}/__init__.py" in packaged


def names_of(parts: Parts) -> Iterator[str]:
    """Yield the files that may be the module, and those of the folders around it."""
    yield "/".join(parts) + ".py"
    for length in range(1, len(parts) + 1):
        yield "/".join((*parts[:length], "__init__.py"))
