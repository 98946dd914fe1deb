"""Names say what they hold: words that say only that something is there are banned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

BANNED = {"one", "found", "told", "said", "mine", "theirs", "made", "begun", "got"}
BANNED |= {"served", "asked", "thing", "things"}
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
FOLDERS = ("handlers", "export", "onnxserve", "torchserve/worker", "models", "benchmarks", "loadtests", "tests")


def bindings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every bound name and its line: assignments, targets of loops, arguments, functions, classes and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, NAMED) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def banned(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for name, line in bindings(ast.parse(path.read_text(encoding="utf-8")))
        if name in BANNED
    ]


def test_no_binding_has_a_name_that_does_not_say_what_it_holds():
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert [line for path in paths for line in banned(path)] == []


def test_every_kind_of_binding_is_seen():
    source = """
import json as one
def found(told, *, said): pass
class mine: pass
for theirs in []: pass
async def one(): pass
[found for found in ()]
match 1:
    case told: pass
try: pass
except ValueError as said: pass
"""
    names = [name for name, _ in bindings(ast.parse(source)) if name in BANNED]
    assert sorted(names) == sorted(["one", "found", "told", "said", "mine", "theirs", "one", "found", "told", "said"])
