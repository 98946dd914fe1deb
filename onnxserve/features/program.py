"""Feast's commands, several in one process: importing Feast takes seconds, each time.

Run by path: `python program.py FOLDER CONFIG COMMAND ARGUMENT... [then COMMAND ARGUMENT...]...`
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

THEN = "then"


def parts(words: Sequence[str]) -> Iterator[list[str]]:
    """The commands, cut at each `then`."""
    command: list[str] = []
    for word in words:
        if word == THEN:
            yield command
            command = []
        else:
            command.append(word)
    yield command


def skip_type_checks() -> None:
    """Leave Feast's classes as they are written.

    typeguard would rewrite them to check types at each call, which takes half of the seconds of Feast's import.
    """
    with contextlib.suppress(ModuleNotFoundError):
        import typeguard

        typeguard.typechecked = unchecked


def unchecked(target: Any = None, **_: Any) -> Any:
    """A decorator that leaves what it decorates as it is."""
    return target if target is not None else _same


def _same(target: Any) -> Any:
    return target


def main(arguments: Sequence[str]) -> None:
    """Run the commands in order; a failing one ends the process with its status."""
    skip_type_checks()
    from feast.cli.cli import cli

    folder, config, *words = arguments
    run: Callable[..., Any] = cli
    for command in parts(words):
        run(["-c", folder, "-f", config, *command], standalone_mode=False)


if __name__ == "__main__":
    main(sys.argv[1:])
