"""Entries of the options that commands take."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from .entry import Entry
from .fields import in_code

NAMES: dict[type, str] = {bool: "flag", int: "integer", float: "number", str: "text", Path: "path"}


def commands(group: typer.Typer, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    """Yield every command of a group, at any depth: the words that call it, and its function."""
    for command in group.registered_commands:
        assert command.callback is not None  # noqa: S101 - a decorator made it
        yield (*words, command.name or command.callback.__name__.replace("_", "-")), command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None  # noqa: S101 - add_typer made it
        yield from commands(inner.typer_instance, (*words, str(inner.name)))


def options(function: Callable[..., Any], command: str) -> Iterator[Entry]:
    """Yield an entry for each argument and option of a command."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = _split_annotation(hints[name])
        default = "required" if parameter.default is parameter.empty else in_code(parameter.default)
        yield Entry(command, _flags(name, info), _type(kind, info), "", default, info.help or "", _variable(info))


def _split_annotation(hint: Any) -> tuple[Any, ArgumentInfo | OptionInfo]:
    """Return the type of a parameter without None, and its annotation; None may stand outside of Annotated too."""
    kind, info = get_args(hint) if get_origin(hint) is Annotated else (hint, typer.Option())
    if isinstance(kind, UnionType) or NoneType in get_args(kind):
        [kind] = [each for each in get_args(kind) if each is not NoneType]
    return kind, info


def _flags(name: str, info: ArgumentInfo | OptionInfo) -> str:
    if isinstance(info, ArgumentInfo):
        return name.upper()
    named = [flag for flag in (info.default, *(info.param_decls or ())) if isinstance(flag, str)]
    return ", ".join(named or [f"--{name.replace('_', '-')}"])


def _type(kind: Any, info: ArgumentInfo | OptionInfo) -> str:
    if get_origin(kind) is list:
        return f"list of {_type(get_args(kind)[0], info)}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in kind)
    bounds = (("at least", info.min), ("at most", info.max))
    return ", ".join([NAMES[kind], *(f"{word} {value:g}" for word, value in bounds if value is not None)])


def _variable(info: ArgumentInfo | OptionInfo) -> str:
    return info.envvar if isinstance(info.envvar, str) else ""
