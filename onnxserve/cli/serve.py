"""`onnxserve serve`: TorchServe started, watched until every worker is proven, and ended with us."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from onnxserve.archive import check_signature, configured_key, summarise
from onnxserve.config import Server, Settings, start_server
from onnxserve.errors import ServerError
from onnxserve.management import Management
from onnxserve.warmup import warm_up

from .app import app, console, out
from .edge import open_door, watch
from .features import URL, begin, unserved
from .predict import ask, golden_body
from .server import (
    Config,
    EdgePort,
    InferencePort,
    ManagementPort,
    State,
    Store,
    TrafficFile,
    release_of,
    settings_from,
)
from .watching import watching

WARM_S = 10.0
Port = Annotated[int | None, typer.Option(help="Another port than the configuration's.")]


def wait_until_ready(server: Server, settings: Settings, timeout_s: float) -> list[tuple[str, str, Path]]:
    """Wait for every worker of every archive in the store; (name, version, archive) of each."""
    archives = sorted(settings.store.glob("*.mar"))
    wanted = [(one.name, one.version, one.path) for one in map(summarise, archives)]
    management = Management(settings.management)
    deadline = time.monotonic() + timeout_s
    with console.status("starting") as status:
        while True:
            if not server.alive():
                raise ServerError("TorchServe ended while starting" + server.reason(), where=str(server.log))
            waiting = [f"{name} {version}" for name, version, _ in wanted if not _ready(management, name, version)]
            if not waiting:
                return wanted
            if time.monotonic() > deadline:
                raise ServerError(
                    f"not ready after {timeout_s:g} s: {', '.join(waiting)}" + server.reason(),
                    where=str(server.log),
                )
            status.update(f"waiting for {', '.join(waiting)}")
            time.sleep(0.3)


def _ready(management: Management, name: str, version: str) -> bool:
    try:
        return any(one.model_version == version and one.ready for one in management.versions(name))
    except ServerError:
        return False  # not listening yet, or not registered yet


def first_answers(settings: Settings, wanted: list[tuple[str, str, Path]]) -> None:
    """Send one golden row to each version and print what came back."""
    for name, version, archive in wanted:
        answer = ask(str(settings.inference), name, golden_body(archive), {"Content-Type": "application/json"}, version)
        out.print(f"{name} {version}: {answer['predictions'][0]}", markup=False)


def next_steps(settings: Settings, url: str, names: list[str]) -> str:
    """Commands to try, for the models that are there."""
    lines = []
    if "sentiment" in names:
        lines.append(
            f"curl -H 'Content-Type: application/json' -d '{{\"text\": \"good film\"}}' {url}/predictions/sentiment"
        )
        lines.append('onnxserve predict sentiment "what a waste of time"')
    lines += [f"curl '{settings.management}/models/{names[0]}?customized=true'", "onnxserve release status"]
    return "\n  ".join(["try:", *lines])


def featured(settings: Settings, repo: Path | None, port: int, running: contextlib.ExitStack) -> dict[str, str]:
    """Variables for the workers; the feature store that `repo` names ends with `running`."""
    if repo is None:
        out.print("".join(unserved(settings.store)), end="", markup=False)
        return {}
    provider = begin(repo, settings.state, port, settings.store)
    running.callback(provider.stop)
    return {URL: provider.url}


def check_store(store: Path) -> None:
    """Where a public key is configured, every archive must be signed by its owner before anything starts."""
    key = configured_key()
    if key is not None:
        for archive in sorted(store.glob("*.mar")):
            check_signature(archive, key)


@app.command()
def serve(  # noqa: PLR0913 - each is a flag
    config: Config = None,
    store: Store = None,
    state: State = None,
    inference_port: InferencePort = None,
    management_port: ManagementPort = None,
    metrics_port: Port = None,
    traffic: TrafficFile = None,
    edge_port: EdgePort = None,
    timeout: Annotated[float, typer.Option(help="Seconds until every worker must be ready.")] = 180.0,
    with_edge: Annotated[bool, typer.Option("--edge/--no-edge", help="Envoy and nginx in front.")] = True,  # noqa: FBT002
    features: Annotated[Path | None, typer.Option(help="A Feast repository, whose server is started too.")] = None,
    features_port: Annotated[int, typer.Option(help="Of the feature server, on loopback.")] = 6566,
    warm: Annotated[float, typer.Option("--warm-up", min=0, help="Seconds of load on the frontend before.")] = WARM_S,
) -> None:
    """Start TorchServe and wait until every worker is ready; Ctrl-C stops it. Example: onnxserve serve."""
    settings = settings_from(
        config=config,
        store=store,
        state=state,
        traffic=traffic,
        edge_port=edge_port,
        inference_port=inference_port,
        management_port=management_port,
        metrics_port=metrics_port,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    check_store(settings.store)
    with contextlib.ExitStack() as running:
        seen = watching(settings, running) if with_edge else {}
        server = start_server(settings, seen | featured(settings, features, features_port, running))
        running.callback(server.stop)
        try:
            wanted = wait_until_ready(server, settings, timeout)
            for name, version in release_of(settings).restore():
                out.print(f"default of {name}: {version}")
            if warm:
                with console.status(f"warming up the frontend for {warm:g} s"):
                    warm_up(settings, warm)
            first_answers(settings, wanted)
            url = str(settings.inference)
            if with_edge:
                door = open_door(settings)
                running.callback(door.stop)
                url = door.edge.url
                out.print(f"console on http://127.0.0.1:{door.edge.intent.listen.metrics_port}", markup=False)
            out.print(next_steps(settings, url, [name for name, _, _ in wanted]), markup=False)
            out.print(f"ready on {url}; logs in {settings.state}; Ctrl-C stops", markup=False)
            if with_edge:
                watch(door, settings, server.alive)
            while server.alive():
                time.sleep(0.5)
            raise ServerError("TorchServe ended" + server.reason(), where=str(server.log))
        except KeyboardInterrupt:
            console.print("stopping")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
