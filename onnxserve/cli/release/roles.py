"""`onnxserve release canary`, `ab`, `shadow`, `smaller`, `promote` and `rollback`: which version answers what."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxserve.cli.console import AsJson
from onnxserve.cli.groups import release as commands
from onnxserve.cli.server import Config, ManagementPort, State
from onnxserve.errors import ReleaseError
from onnxserve.gateway import Auto, Canary, Share

from .changes import Model, Plan, Version, server, show_changes

VersionOrOff = Annotated[str, typer.Argument(help="The version, such as 1.1.0; `off` ends the role.")]
Percent = Annotated[
    float, typer.Option(min=0, max=100, help="Share of the requests that name no version, percent from 0 to 100.")
]
OtherSignature = Annotated[
    bool,
    typer.Option(
        "--other-signature", help="Allow columns, labels or tensors that differ from those of the stable version."
    ),
]
AcceptUnproven = Annotated[
    bool, typer.Option("--accept-unproven", help="Allow a version whose answers no rows have proven.")
]


@commands.command()
def canary(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    percent: Percent = 5.0,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    auto: Annotated[
        bool, typer.Option("--auto", help="Raise the share step by step; take the version back if it does harm.")
    ] = False,
    steps: Annotated[str, typer.Option(help="Shares of an automatic canary, percent, rising.")] = "1,5,25,50",
    requests: Annotated[int, typer.Option(min=1, help="Number of the canary's answers that each step compares.")] = 200,
    seconds: Annotated[float, typer.Option(min=0, help="Least duration of each step, seconds.")] = 60.0,
    false_alarm: Annotated[
        float, typer.Option(help="Probability of taking back a harmless version, above 0 and below 1.")
    ] = 0.01,
    other_signature: OtherSignature = False,
    accept_unproven: AcceptUnproven = False,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Let a version answer a share of the requests.

    Example: onnxserve release canary segment 1.1.0 --percent 5
    """
    release = server(config, state, management_port)
    rollout = Auto(percentages(steps), requests, seconds, chance(false_alarm)) if auto else None
    share = Canary(version, rollout.steps[0] if rollout else percent, auto=rollout)
    changes = release.canary(model, share, other_signature=other_signature, accept_unproven=accept_unproven, plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)


@commands.command()
def ab(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    percent: Percent = 50.0,
    by: Annotated[
        str, typer.Option(help="The request header that decides: the same value always gets the same version.")
    ] = "x-user",
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    accept_unproven: AcceptUnproven = False,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: like canary, but each client always gets the same version.

    Example: onnxserve release ab segment 1.1.0 --by x-user
    """
    release = server(config, state, management_port)
    share = Canary(version, percent, by.lower())
    changes = release.canary(model, share, other_signature=other_signature, accept_unproven=accept_unproven, plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)


@commands.command()
def shadow(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: VersionOrOff,
    percent: Percent = 100.0,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Send copies of requests to a version, whose answers are compared and dropped.

    Example: onnxserve release shadow segment 1.1.0
    """
    release = server(config, state, management_port)
    changes = release.shadow(model, None if version == "off" else Share(version, percent), plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)


@commands.command()
def smaller(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: VersionOrOff,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    accept_unproven: AcceptUnproven = False,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Name a cheaper version that answers while the stable one is overloaded.

    Example: onnxserve release smaller segment 1.0.1
    """
    release = server(config, state, management_port)
    named = "" if version == "off" else version
    changes = release.smaller(model, named, other_signature=other_signature, accept_unproven=accept_unproven, plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)


@commands.command()
def promote(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Annotated[str, typer.Argument(help="The version, such as 1.1.0; default: the canary.")] = "",
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    accept_unproven: AcceptUnproven = False,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Make a version the stable one, which answers requests that name no version.

    Example: onnxserve release promote segment 1.1.0
    """
    release = server(config, state, management_port)
    changes = release.promote(
        model, version, other_signature=other_signature, accept_unproven=accept_unproven, plan=plan
    )
    show_changes(release, changes, plan=plan, as_json=as_json)


@commands.command()
def rollback(
    model: Model,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """End the canary; without one, return to the previous stable version.

    Example: onnxserve release rollback segment
    """
    release = server(config, state, management_port)
    changes = release.rollback(model, plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)


def percentages(text: str) -> tuple[float, ...]:
    """Return the numbers of `1,5,25`; ReleaseError unless they rise from above 0 to below 100."""
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        what = f"steps must be numbers with commas between them, got {text!r}"
        raise ReleaseError(what, where="--steps", fix="write them as 1,5,25,50") from error
    if list(shares) != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] < 100:
        fix = "write them as 1,5,25,50: at 100 no stable answer is left to compare with, and the last step promotes"
        raise ReleaseError(f"steps must rise from above 0 to below 100, got {text!r}", where="--steps", fix=fix)
    return shares


def chance(value: float) -> float:
    """Return the value; ReleaseError unless it is above 0 and below 1."""
    if not 0 < value < 1:
        what = f"the probability of a false alarm must be above 0 and below 1, got {value:g}"
        raise ReleaseError(what, where="--false-alarm", fix="write it as 0.01")
    return value
