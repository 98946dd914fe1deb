"""Commands import packages of an extra when they run, so mypy doesn't see what they take of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from onnxserve import batch, features
from onnxserve.cli import batch as batch_commands
from onnxserve.cli import features as feature_commands


def is_library(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "library"


def named(tree: ast.AST) -> set[str]:
    """Locals that hold the package: of `jobs = library()`, and of `features, table = library(), rows`."""
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            [target] = node.targets
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            names |= {held.id for held, value in pairs if isinstance(held, ast.Name) and is_library(value)}
    return names


def taken(commands: ModuleType) -> Iterator[str]:
    """What a module of commands takes of its package."""
    tree = ast.parse(Path(str(commands.__file__)).read_text(encoding="utf-8"))
    names = named(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            is_library(node.value) or (isinstance(node.value, ast.Name) and node.value.id in names)
        ):
            yield node.attr


@pytest.mark.parametrize(("commands", "package"), [(batch_commands, batch), (feature_commands, features)])
def test_what_commands_take_of_an_extra_is_there(commands, package):
    attributes = set(taken(commands))
    assert attributes
    assert {name for name in attributes if not hasattr(package, name)} == set()
