"""Runs several Feast commands in one process, since each import of Feast takes seconds.

Run by path: `python program.py FOLDER CONFIG COMMAND ARGUMENT... [then COMMAND ARGUMENT...]...`
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

THEN = "then"
# Feast and its libraries import these if installed, for tensors and plots; that takes a third of the import time.
LEFT_OUT = ("torch", "matplotlib")


def parts(words: Sequence[str]) -> Iterator[list[str]]:
    """Split the words into commands at each `then`."""
    command: list[str] = []
    for word in words:
        if word == THEN:
            yield command
            command = []
        else:
            command.append(word)
    yield command


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Let the block import Feast without libraries that its commands don't use; definitions may import them later.

    typeguard would rewrite Feast's classes to check types at each call, which takes another third of the time.
    """
    typeguard: Any = ModuleType("typeguard")
    typeguard.typechecked = no_typechecked
    stand_ins: dict[str, Any] = {**dict.fromkeys(LEFT_OUT), "typeguard": typeguard}
    absent = stand_ins.keys() - sys.modules.keys()
    sys.modules.update({name: stand_ins[name] for name in absent})
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def no_typechecked(target: Any = None, **_: Any) -> Any:
    """Decorate nothing: return the target unchanged."""
    return target if target is not None else _same


def _same(target: Any) -> Any:
    return target


def main(arguments: Sequence[str]) -> None:
    """Run the commands in order; a failing command ends the process with its status."""
    with lean_imports():
        from feast.cli.cli import cli

    folder, config, *words = arguments
    run: Callable[..., Any] = cli
    for command in parts(words):
        run(["-c", folder, "-f", config, *command], standalone_mode=False)


if __name__ == "__main__":
    main(sys.argv[1:])
