"""What the Python code of an archive imports and measures, by its syntax; nothing is imported or run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

# Methods of TorchServe's `context.metrics` whose first argument is the metric's name (`ts/metrics/metrics_store.py`).
METRIC_METHODS = {"add_metric", "add_counter", "add_time", "add_size", "add_percent", "add_error"}
SERVER = "ts"  # TorchServe's package, whose handlers an archive's code imports
HANDLERS = "ts.torch_handler"
ABSENCE = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass
class Code:
    """The modules that a handler reaches.

    `imports` and `metrics` have where each name first occurs, as `file:line`. An import that the code can do without is
    not among them. `faults` are files that this Python can't parse.
    """

    imports: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_code(members: Mapping[str, bytes], *modules: str) -> Code:
    """Follow the imports of some modules through the archive and TorchServe's package."""
    code, waiting, visited = Code(), list(modules), set[str]()
    while waiting:
        module = waiting.pop()
        source = source_of(members, module)
        if module in visited or source is None:
            continue
        visited.add(module)
        waiting += _read_module(code, module, *source, members)
    return code


def source_of(members: Mapping[str, bytes], module: str) -> tuple[str, bytes] | None:
    """Return file name and source of a module of the archive or of TorchServe; None if neither has it."""
    stem = module.replace(".", "/")
    for name in (f"{stem}.py", f"{stem}/__init__.py"):
        if name in members:
            return name, members[name]
    folder = server_folder() if module.partition(".")[0] == SERVER else None
    if folder is not None:
        for path in (folder.parent / f"{stem}.py", folder.parent / stem / "__init__.py"):
            if path.is_file():
                return f"TorchServe's {path.relative_to(folder.parent).as_posix()}", path.read_bytes()
    return None


def server_folder() -> Path | None:
    """Return the folder of TorchServe's package, None if it isn't installed; the package isn't imported."""
    spec = find_spec(SERVER)
    return Path(spec.origin).parent if spec and spec.origin else None


def missing(code: Code, members: Mapping[str, bytes]) -> dict[str, str]:
    """Return the top-level modules that the code imports and that neither the archive nor this Python has."""
    return {
        name: place
        for name, place in sorted(code.imports.items())
        if name not in sys.stdlib_module_names and not _is_local(name, members) and find_spec(name) is None
    }


def _is_local(name: str, members: Mapping[str, bytes]) -> bool:
    return f"{name}.py" in members or any(member.startswith(f"{name}/") for member in members)


def _read_module(code: Code, module: str, file: str, source: bytes, members: Mapping[str, bytes]) -> list[str]:
    """Add what one module imports and measures; return the modules that it imports."""
    try:
        tree = ast.parse(source, filename=file)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        code.faults.append(f"{file}{line}: {getattr(error, 'msg', None) or error}")
        return []
    package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
    reached = []
    for node, optional in _statements(tree):
        for name in _imported(node, package, members):
            reached.append(name)
            if not optional:
                code.imports.setdefault(name.partition(".")[0], f"{file}:{node.lineno}")
        if (metric := _metric(node)) is not None:
            code.metrics.setdefault(metric, f"{file}:{node.lineno}")
    return reached


def _statements(tree: ast.AST, *, optional: bool = False) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    """Yield every statement and expression, and whether the code goes on where its import fails."""
    for child in ast.iter_child_nodes(tree):
        caught = isinstance(tree, ast.Try) and child in tree.body and any(map(_catches_absence, tree.handlers))
        typing = isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test)
        dispensable = optional or caught or typing
        if isinstance(child, ast.stmt | ast.expr):
            yield child, dispensable
        yield from _statements(child, optional=dispensable)


def _catches_absence(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id in ABSENCE for node in ast.walk(handler.type)
    )


def _imported(node: ast.AST, package: str, members: Mapping[str, bytes]) -> list[str]:
    """Return the dotted names of the modules that a statement imports, parents first."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".") if package else []
        base = parts[: len(parts) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        below = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
        names = [module, *(name for name in below if source_of(members, name) is not None)]
    return [parent for name in names if name for parent in _with_parents(name)]


def _with_parents(module: str) -> list[str]:
    """Return `a`, `a.b` and `a.b.c` for `a.b.c`: Python imports the packages around a module first."""
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _metric(node: ast.AST) -> str | None:
    """Return the name of the metric that a call adds to; None for anything else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METRIC_METHODS):
        return None
    keywords = [keyword.value for keyword in node.keywords if keyword.arg in {"name", "metric_name"}]
    first = (*node.args[:1], *keywords)[:1]
    value = first[0].value if first and isinstance(first[0], ast.Constant) else None
    return value if isinstance(value, str) else None
