"""The program: all commands, and the boundary that turns errors into messages and exit codes."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from onnxserve.errors import OnnxserveError
from onnxserve.version import __version__

from . import batch, client, doctor, export, features, gateway, import_model, keys, monitor, new, predict, serve
from .archive import convert, explain, migrate, pull, report, sign, verify
from .console import console, out
from .groups import root as program
from .release import ready, roles, status, versions
from .tune import capacity, load, resources

# Importing a module puts its commands into their groups.
COMMANDS = (
    *(batch, client, doctor, export, features, gateway, import_model, keys, monitor, new, predict, serve),
    *(convert, explain, migrate, pull, report, sign, verify),
    *(ready, roles, status, versions),
    *(capacity, load, resources),
)

app = program


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's callback takes the flag by position
    if value:
        out.print(__version__)
        raise typer.Exit


@program.callback()
def options(
    version: Annotated[  # noqa: FBT002 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Serve proven ONNX archives of trained models with TorchServe."""


def _end_as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Pass SIGTERM on as SIGINT, to which libraries listen too; a shell's background job may ignore that one."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.default_int_handler(number, frame)
    signal.raise_signal(signal.SIGINT)


def main() -> None:
    """Run the program; an OnnxserveError or an OSError becomes a message and an exit code, without a traceback.

    SIGTERM ends it as Ctrl-C does: with its processes and temporary files.
    """
    signal.signal(signal.SIGTERM, _end_as_ctrl_c)
    try:
        program()
    except OnnxserveError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that is a file, a file of another user
        where = f"\n  where: {error.filename}" if error.filename else ""
        console.print(f"{error.strerror or error}{where}", style="red", markup=False)
        sys.exit(1)
