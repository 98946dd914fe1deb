"""The program's groups. Command modules put their commands into them; `app` imports all of those modules.

Names that commands and options had before are taken for one minor version more, hidden, with a line on standard error.

Help is plain text: Typer's tables share a narrow terminal out between columns and break or cut the names of options.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from .console import console

RENAMED = {
    "verify": ("archive", "verify"),
    "explain": ("archive", "explain"),
    "sign": ("archive", "sign"),
    "seal": ("archive", "seal"),
    "pull": ("archive", "pull"),
    "convert": ("archive", "convert"),
    "keygen": ("archive", "keygen"),
    "revoke": ("archive", "revoke"),
    "capacity": ("tune", "capacity"),
    "resources": ("tune", "resources"),
    "ready": ("release", "ready"),
    "edge": ("gateway",),
}
RENAMED_OPTIONS = {
    "--traffic": "--gateway-file",
    "--edge-port": "--gateway-port",
    "--edge": "--gateway",
    "--no-edge": "--no-gateway",
}
LONGEST = 500  # characters of a command's first sentence
SHORT = {"migrate": ("archive", "migrate")}  # a command of a group that is called without the group's name too


def warn_renamed(old: str, new: str) -> None:
    """Name the command or option that replaces an old one."""
    console.print(f"`{old}` is now `{new}`; the next minor version drops the old name")


def present_options(args: list[str]) -> list[str]:
    """Return arguments with the present names of options; each former name is reported once."""
    end = args.index("--") if "--" in args else len(args)  # what follows is no option
    names = [arg.partition("=") for arg in args[:end]]
    for old in dict.fromkeys(name for name, _, _ in names if name in RENAMED_OPTIONS):
        warn_renamed(old, RENAMED_OPTIONS[old])
    return ["".join((RENAMED_OPTIONS.get(name, name), *value)) for name, *value in names] + args[end:]


class Group(TyperGroup):
    """A group whose help has the whole first sentence of each command; Typer cuts it at the end of the line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is Typer's
        """Write each command with its sentence."""
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(LONGEST)) for name, command in shown.items()])


class Program(Group):
    """All commands, also under the names in RENAMED and SHORT, with options also under those in RENAMED_OPTIONS."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that `args` begin with, by its new or its old name."""
        old = args[0] if args else ""
        if old in RENAMED:
            warn_renamed(f"onnxserve {old}", " ".join(("onnxserve", *RENAMED[old])))
        args = [*(RENAMED.get(old) or SHORT.get(old) or args[:1]), *present_options(args[1:])]
        return super().resolve_command(ctx, args)


class Tune(Group):
    """`tune`, which was one command until it became the group's `load`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take arguments that name none of the group's commands as those of `load`."""
        if args and args[0] not in self.commands and args[0] != "--help":
            warn_renamed("onnxserve tune", "onnxserve tune load")
            args = ["load", *args]
        return super().parse_args(ctx, args)


def _group(name: str, text: str, cls: type[Group] = Group) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None, cls=cls)
    root.add_typer(group, name=name)
    return group


root = typer.Typer(
    name="onnxserve",
    help="Serve proven ONNX archives of trained models with TorchServe.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    cls=Program,
)
archive = _group("archive", "Check, explain, report, sign, encrypt, fetch, migrate and convert archives.")
gateway = _group("gateway", "Render, check or start the gateway (nginx) in front of TorchServe.")
keys = _group("keys", "Manage the API keys of clients; changes take effect within a second.")
release = _group("release", "Move traffic between the versions of a model.")
features = _group("features", "Load, serve and check the feature store (Feast) of a model.")
monitor = _group("monitor", "Make dashboards and measure how right a model is in production.")
tune = _group("tune", "Measure load, capacity and resources on this machine.", Tune)
