"""`onnxserve edge`: what becomes of traffic.toml, and the edge without TorchServe."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.config import Settings
from onnxserve.edge import Edge, Traffic, read_intent
from onnxserve.edge.files import write_files
from onnxserve.edge.kubernetes import kubernetes_files
from onnxserve.edge.processes import Door
from onnxserve.edge.processes import check as judge
from onnxserve.edge.processes import start as begin
from onnxserve.edge.render import render as render_files
from onnxserve.errors import EdgeError
from onnxserve.release import Pilot

from .app import app, console, out
from .server import Config, EdgePort, InferencePort, ManagementPort, State, TrafficFile, release_of, settings_from

TICK_S = 1.0
commands = typer.Typer(help="The door in front of TorchServe: Envoy and nginx.", no_args_is_help=True)
app.add_typer(commands, name="edge")


def edge_of(settings: Settings, run: Path | None = None) -> Edge:
    """The edge that the settings name."""
    where, intent = run or settings.state / "edge", read_intent(settings.traffic)
    host, port = settings.edge_host or intent.listen.host, settings.edge_port or intent.listen.port
    listen = msgspec.structs.replace(intent.listen, host=host, port=port)
    intent = msgspec.structs.replace(intent, listen=listen)
    return Edge(intent, where.resolve(), settings.inference_port, settings.management_port)


def open_door(settings: Settings) -> Door:
    """Start the edge before a TorchServe, with the labels as they are."""
    kept, edge = Traffic(settings.state), edge_of(settings)
    door = begin(edge, kept.labels)
    kept.started(edge)
    return door


def watch(door: Door, settings: Settings, alive: Callable[[], bool]) -> None:
    """Look after canaries and shadows while TorchServe is `alive`; EdgeError when the edge ends."""
    pilot, told = Pilot(release_of(settings), settings.state), list[str]()
    while alive():
        if not door.alive():
            raise EdgeError("the edge ended", where=str(door.edge.run), fix="its logs say why")
        said = pilot.tick()
        if said and said != told:  # what is tried again and again is told once
            told = said
            out.print("\n".join(said), markup=False)
        time.sleep(TICK_S)


@commands.command()
def render(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Another folder than the state's.")] = None,
    traffic: TrafficFile = None,
    state: State = None,
    config: Config = None,
    *,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Manifests for a cluster instead.")] = False,
) -> None:
    """Write Envoy's and nginx's files, or manifests. Example: onnxserve edge render -o rendered."""
    settings = settings_from(traffic=traffic, state=state, config=config)
    edge, labels = edge_of(settings, output), Traffic(settings.state).labels
    files = kubernetes_files(edge.intent, labels) if kubernetes else render_files(edge, labels)
    for path in write_files(edge.run, files):
        out.print(str(path), markup=False)


@commands.command()
def check(traffic: TrafficFile = None, state: State = None, config: Config = None) -> None:
    """Let Envoy and nginx judge what would be rendered. Example: onnxserve edge check."""
    settings = settings_from(traffic=traffic, state=state, config=config)
    judge(edge_of(settings, settings.state / "edge-check"), Traffic(settings.state).labels)
    out.print(f"{settings.traffic}: Envoy and nginx accept what becomes of it", markup=False)


@commands.command()
def start(
    traffic: TrafficFile = None,
    state: State = None,
    config: Config = None,
    inference_port: InferencePort = None,
    management_port: ManagementPort = None,
    edge_port: EdgePort = None,
) -> None:
    """Start only the edge, before a TorchServe that runs already; Ctrl-C ends it. Example: onnxserve edge start."""
    ports = {"inference_port": inference_port, "management_port": management_port, "edge_port": edge_port}
    settings = settings_from(traffic=traffic, state=state, config=config, **ports)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    door = open_door(settings)
    edge = door.edge
    try:
        out.print(f"ready on {edge.url}; logs in {edge.run}; Ctrl-C stops", markup=False)
        watch(door, settings, lambda: True)
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        door.stop()
