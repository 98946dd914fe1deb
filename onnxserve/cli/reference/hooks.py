"""Hooks of the packaged handlers: what a handler of a user's own may override, and the lines that explain each."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inference import Inference
from onnxserve_handlers.inputs import InputHooks
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task
from onnxserve_handlers.tasks import TaskHooks

LOOP = (Handler, Inference)


class Hook(NamedTuple):
    """A method with its arguments, or an attribute, of a class; `meaning` is the first paragraph that explains it."""

    name: str
    arguments: str
    meaning: str


def sections() -> dict[str, tuple[Hook, ...]]:
    """Return the hooks by the heading of their section."""
    common = {hook.name for base in (InputHooks, TaskHooks, *LOOP) for hook in hooks_of(base)}
    named = {"Hooks of every input kind": hooks_of(InputHooks)}
    for name in KINDS:
        named[f"More hooks of {name}"] = own_hooks(input_kind(name), common)
    named["Hooks of every task"] = hooks_of(TaskHooks)
    for name in TASKS:
        named[f"More hooks of {name}"] = own_hooks(task(name), common)
    named["The batch loop"] = tuple(hook for base in LOOP for hook in hooks_of(base))
    return {heading: hooks for heading, hooks in named.items() if hooks}


def own_hooks(cls: type, common: set[str]) -> tuple[Hook, ...]:
    """Return the hooks of a kind or a task that not every kind or task has."""
    bases = [base for base in cls.__mro__ if base not in (*InputHooks.__mro__, *TaskHooks.__mro__)]
    hooks: dict[str, Hook] = {}
    for hook in (hook for base in bases for hook in hooks_of(base) if hook.name not in common):
        hooks.setdefault(hook.name, hook)  # the first class in this order is the one that Python takes it from
    return tuple(hooks.values())


def hooks_of(cls: type) -> tuple[Hook, ...]:
    """Return the public methods and attributes that a class itself has, in the order of its source."""
    source = textwrap.dedent(inspect.getsource(cls))
    [definition] = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - getsource gives a class
    return tuple(_hooks(definition, source.splitlines()))


def _hooks(definition: ast.ClassDef, lines: list[str]) -> Iterator[Hook]:
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef):
            meaning, is_property = _paragraph(ast.get_docstring(statement) or ""), bool(statement.decorator_list)
            arguments = "" if is_property else f"({', '.join(_arguments(statement.args))})"
            hook = Hook(statement.name, arguments, meaning)
        elif isinstance(statement, ast.AnnAssign | ast.Assign):
            [target] = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            hook = Hook(ast.unparse(target), "", _comment(lines, statement.lineno))
        else:
            continue
        if not hook.name.startswith("_"):
            yield hook


def _arguments(given: ast.arguments) -> list[str]:
    named = [argument.arg for argument in given.args if argument.arg != "self"]
    return [*named, *(["*"] if given.kwonlyargs else []), *(argument.arg for argument in given.kwonlyargs)]


def _paragraph(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _comment(lines: list[str], number: int) -> str:
    """Return the comment beside or above the statement on a line, counted from 1."""
    _, mark, text = lines[number - 1].partition("  # ")
    if not mark or text.startswith("noqa"):
        above = takewhile(lambda line: line.strip().startswith("# "), reversed(lines[: number - 1]))
        text = " ".join(line.strip().removeprefix("# ") for line in reversed([*above]))
    sentence = text.strip().rstrip(".")
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def tables() -> Iterator[Any]:
    """Yield each section's heading and the cells of its hooks."""
    for heading, hooks in sections().items():
        yield heading, [(f"`{hook.name}{hook.arguments}`", hook.meaning) for hook in hooks]
